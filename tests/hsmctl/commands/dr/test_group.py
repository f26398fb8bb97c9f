from hsmctl.commands.dr.group import dr


def test_every_command_is_there_with_an_example() -> None:
    assert {"status", "drill", "promote", "vouch"} <= set(dr.commands)
    assert all("Example: hsmctl dr" in (command.help or "") for command in dr.commands.values())
