"""No circle among modules, the command line included."""

from __future__ import annotations

import grimp

from daemon.cli.ownership import NAMES


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count; those for types alone (TYPE_CHECKING) do not, since no program runs them."""
    graph = grimp.build_graph(*NAMES, exclude_type_checking_imports=True)
    following = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while leaves := [module for module, imported in following.items() if not imported & following.keys()]:
        for module in leaves:
            del following[module]
    roots = [module for module in following if any(module in imported for imported in following.values())]
    assert sorted(roots) == []
