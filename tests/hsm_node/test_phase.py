"""Both phases have all that a node asks of one."""

from hsm_node.open_phase import OpenPhase
from hsm_node.phase import Phase
from hsm_node.sealed_phase import SealedPhase


def test_both_phases_have_all_that_a_node_asks_of_one() -> None:
    wanted = {name for name in vars(Phase) if not name.startswith("_")}
    for phase in (OpenPhase, SealedPhase):
        assert wanted <= {*vars(phase), *phase.__init__.__code__.co_names}
