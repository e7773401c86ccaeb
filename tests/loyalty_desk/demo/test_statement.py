"""The demo's last table: what it takes for good, and what it must not."""

from loyalty_desk.demo.statement import Statement


def statement() -> Statement:
    made = Statement(verified="verify: ok")
    made.hold("Sales of the day", 11, 11)
    return made


def test_figures_that_agree_and_an_overdraft_within_its_bound_are_good():
    made = statement()
    made.overdraft("Anna", 380, 380, ["OVERDRAFT (points 380)"])
    assert made.differs() == []
    text = made.text()
    assert "same" in text
    assert "within" in text
    assert "OVERDRAFT (points 380), before what that sale earned" in text


def test_figures_are_written_in_one_way():
    made = statement()
    made.hold("Points of Anna", 31_227, 31_227)
    made.overdraft("Anna", 1_380, 2_000, ["OVERDRAFT"])
    assert [made.text().count(one) for one in ("31,227", "1,380", "at most 2,000")] == [2, 1, 1]


def test_figures_that_differ_are_named():
    made = statement()
    made.hold("Head of Till 2", "9 ab", "8 cd")
    assert made.differs() == ["Head of Till 2: 9 ab and 8 cd"]
    assert "DIFFERS" in made.text()


def test_an_overdraft_that_nobody_is_told_of_is_not_good():
    made = statement()
    made.overdraft("Anna", 100, 380, [])
    assert len(made.differs()) == 1


def test_an_overdraft_beyond_its_bound_is_not_good():
    made = statement()
    made.overdraft("Anna", 381, 380, ["OVERDRAFT (points 381)"])
    assert len(made.differs()) == 1
    assert "BEYOND" in made.text()


def test_a_day_without_the_overdraft_it_was_played_for_is_not_good():
    made = statement()
    made.overdraft("Anna", 0, 380, ["OVERDRAFT (points 1)"])
    assert len(made.differs()) == 1
