from __future__ import annotations

import json

from adapter.provider.json_edit import respelled


def test_what_is_not_changed_keeps_its_bytes() -> None:
    text = ' [ {"a" : 1.50, "b":"\\u0026é"} , {"c":[1e2 ,2],"type":"x","d" :{} } ]\n'
    before = json.loads(text)
    after = [before[0], {**before[1], "type": "y"}]
    assert respelled(text, before, after) == ' [{"a" : 1.50, "b":"\\u0026é"},{"c":[1e2 ,2],"type":"y","d" :{}}]\n'


def test_members_come_and_go() -> None:
    text = '{"a": 1, "b": {"x": 1}, "c": 3}'
    before = json.loads(text)
    after = {"a": before["a"], "b": {**before["b"], "y": "ü"}, "new": [1]}
    assert respelled(text, before, after) == '{"a": 1,"b": {"x": 1,"y":"\\u00fc"},"new":[1]}'


def test_of_two_members_with_one_name_the_last_counts() -> None:
    text = '{"a":{"old":1},"a":{"url":"x"}}'
    before = json.loads(text)
    assert respelled(text, before, {"a": {"url": "y"}}) == '{"a":{"url":"y"}}'


def test_half_a_surrogate_survives() -> None:
    text = '{"a":"\\ud800","b":1}'
    before = json.loads(text)
    assert respelled(text, before, {**before, "b": 2}).encode() == b'{"a":"\\ud800","b":2}'
    assert respelled(text, before, {"c": before["a"]}).encode() == b'{"c":"\\ud800"}'
