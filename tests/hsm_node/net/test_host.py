from hsm_node.net.acceptor import Acceptor
from hsm_node.net.host import Host


def test_the_acceptor_has_all_that_a_link_needs() -> None:
    wanted = {name for name in vars(Host) if not name.startswith("_")}
    made = {*vars(Acceptor), *Acceptor.__init__.__code__.co_names}
    assert wanted <= made
