"""client.toml, the environment and arguments."""

import pytest

from hsm_client.config import load_config, parse_address
from hsm_client.errors import ConfigurationError


def test_files_are_relative_to_the_configuration(tmp_path):
    path = tmp_path / "client.toml"
    path.write_text('proxies = ["[::1]:7"]\nca = "ca.pem"\ncertificate = "c.pem"\nkey = "k.pem"\n')
    config = load_config(path, environment={})
    assert config.tls is not None
    assert config.tls.key == tmp_path.resolve() / "k.pem"
    assert str(config.proxies[0]) == "[::1]:7"


def test_arguments_go_over_the_environment_and_that_over_the_file(tmp_path):
    path = tmp_path / "client.toml"
    path.write_text('proxies = ["127.0.0.1:1"]\ntls = "off"\n')
    environment = {"HSM_CLIENT_CONFIG": str(path), "HSM_PROXY": "127.0.0.1:2,127.0.0.1:3"}
    assert [proxy.port for proxy in load_config(environment=environment).proxies] == [2, 3]
    assert [proxy.port for proxy in load_config(None, ["localhost:4"], environment).proxies] == [4]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("proxies = [", "not TOML"),
        ('proxies = ["127.0.0.1:1"]\nnonsense = 1', "nonsense"),
        ('proxies = ["127.0.0.1:1"]', "ca, certificate, key missing"),
        ('tls = "off"', "no proxy"),
        ('proxies = ["192.0.2.1:1"]\ntls = "off"', "only for loopback"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_what_is_wrong(tmp_path, text, fault):
    path = tmp_path / "client.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        load_config(path, environment={})


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match="hsmctl dev"):
        load_config(tmp_path / "none.toml", environment={})


@pytest.mark.parametrize("text", ["", ":1", "h:0", "h:65536", "h:x"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "9" * 5000, '"a\\nb" = 1', 'tls = "off"\nproxies = ["a\\nb:1"]']
)
def test_a_file_that_nobody_would_write_is_one_printable_line(tmp_path, text):
    path = tmp_path / "client.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load_config(path, environment={})
    assert str(raised.value).isprintable()


def test_a_zero_byte_in_the_files_name_is_one_printable_line(tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        load_config(tmp_path / "a\0b", environment={})
    assert str(raised.value).isprintable()


def test_what_is_slow_stands_in_the_file_and_stays_with_other_proxies(tmp_path):
    file = tmp_path / "client.toml"
    file.write_text('proxies = ["127.0.0.1:2410"]\ntls = "off"\nslow_request_s = 0.25\n')
    config = load_config(file)
    assert config.slow_request_s == 0.25
    assert load_config(config, proxies="127.0.0.1:2411").slow_request_s == 0.25
    file.write_text('proxies = ["127.0.0.1:2410"]\ntls = "off"\nslow_request_s = -1\n')
    with pytest.raises(ConfigurationError, match="slow_request_s"):
        load_config(file)
