"""What was made is linked to the calls about it."""

from typing import Any

from services.chassis.http.links import with_links


def operation(name: str, status: int = 200) -> dict[str, Any]:
    return {"operationId": name, "responses": {str(status): {"description": "done"}}}


PATHS = {
    "/boxes/": {"get": operation("list_boxes"), "post": operation("make_box", 201)},
    "/boxes/count/": {"post": operation("count_boxes")},
    "/boxes/{box_id}/": {"get": operation("show_box"), "delete": operation("drop_box")},
    "/boxes/{box_id}/lids/": {"post": operation("make_lid", 201)},
    "/boxes/{box_id}/lids/{lid_id}/close/": {"post": operation("close_lid")},
    "/boxes/{box_id}/checks/": {"post": operation("check_box", 201)},
}


def links(path: str, method: str = "post", status: str = "201") -> dict[str, Any]:
    found: dict[str, Any] = with_links({"paths": PATHS})["paths"][path][method]["responses"][status].get("links", {})
    return found


def test_what_is_made_is_linked_by_its_id_to_each_call_that_needs_no_other() -> None:
    made = links("/boxes/")
    assert set(made) == {"show_box", "drop_box", "make_lid", "check_box"}
    assert made["drop_box"] == {"operationId": "drop_box", "parameters": {"box_id": "$response.body#/id"}}


def test_what_is_made_within_another_is_linked_by_both_ids() -> None:
    parameters = {"box_id": "$request.path.box_id", "lid_id": "$response.body#/id"}
    assert links("/boxes/{box_id}/lids/") == {"close_lid": {"operationId": "close_lid", "parameters": parameters}}


def test_nothing_else_is_linked_and_nothing_else_is_changed() -> None:
    assert links("/boxes/", "get", "200") == links("/boxes/count/", status="200") == {}
    assert links("/boxes/{box_id}/checks/") == {}
    document = {"openapi": "3.1.0", "paths": {path: PATHS[path] for path in ("/boxes/count/", "/boxes/{box_id}/")}}
    assert with_links(document) == document
