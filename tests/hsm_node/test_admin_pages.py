from hsm_daemon.admin import AdminAnswer
from hsm_node.admin_pages import admin_routes


def test_each_page_says_what_it_is_for() -> None:
    ready = [True]
    routes = admin_routes(lambda: AdminAnswer(200, "text/plain", b"m"), lambda: {"name": "<n>"}, lambda: ready[0])
    assert routes["/livez"]().status == routes["/readyz"]().status == 200
    assert routes["/status"]().body == b'{"name":"<n>"}'
    assert b"&lt;n&gt;" in routes["/"]().body
    assert routes["/metrics"]().body == b"m"
    ready[0] = False
    assert routes["/readyz"]().status == 503
