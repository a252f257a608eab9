from cluster.web.access import SESSION_S, Attempts, Sessions


def test_sessions_are_found_by_their_id_until_they_end():
    sessions = Sessions()
    first, second = sessions.open("a", 0.0), sessions.open("b", 1.0)
    found = sessions.find(first, SESSION_S - 0.1)
    assert found is not None
    assert (found.token, len(first) >= 43) == ("a", True)
    assert sessions.find(first, SESSION_S) is None
    assert sessions.find(first[:-1], 0.0) is None
    assert sessions.find("\ud800", 0.0) is None
    sessions.close(second)
    sessions.close(second)
    assert sessions.find(second, 1.0) is None


def test_no_id_and_no_form_token_comes_twice():
    sessions = Sessions()
    ids = [sessions.open("a", 0.0) for _ in range(200)]
    forms = {session.form_token for i in ids if (session := sessions.find(i, 0.0)) is not None}
    assert len(set(ids)) == len(forms) == 200


def test_sessions_are_bounded(monkeypatch):
    monkeypatch.setattr("cluster.web.access._MOST_SESSIONS", 3)
    sessions = Sessions()
    ids = [sessions.open("a", 0.0) for _ in range(5)]
    assert [sessions.find(i, 0.0) is not None for i in ids] == [False, False, True, True, True]


def test_attempts_are_counted_by_address_and_time():
    attempts = Attempts(most=2, window_s=10.0)
    attempts.failed("a", 0.0)
    assert not attempts.is_blocked("a", 0.0)
    attempts.failed("a", 1.0)
    assert attempts.is_blocked("a", 9.9)
    assert not attempts.is_blocked("b", 1.0)
    assert not attempts.is_blocked("a", 10.0)
    attempts.failed("a", 10.0)
    assert not attempts.is_blocked("a", 10.0)
