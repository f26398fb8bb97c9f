from hsm_node.store.migration.errors import MigrationError


def test_the_line_is_all_that_it_says() -> None:
    assert str(MigrationError("it is in use; stop it")) == "it is in use; stop it"
