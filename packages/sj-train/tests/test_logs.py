from __future__ import annotations

import logging

from sj_train.logs import console_logging


def test_messages_are_printed_inside_the_block_only(capsys):
    logger = logging.getLogger("sj_train.some_module")
    logger.info("before")
    with console_logging():
        logger.info("inside")
    logger.info("after")
    out = capsys.readouterr().out
    assert out.endswith(" inside\n")
    assert "before" not in out and "after" not in out


def test_importing_installs_no_handler():
    assert logging.getLogger("sj_train").handlers == []
