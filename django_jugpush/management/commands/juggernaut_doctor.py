"""``manage.py juggernaut_doctor``: tries the whole way of a publication, and says what to mend."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_jugpush.diagnosis import Finding, Outcome, diagnose

MARKS = {Outcome.GOOD: "✓", Outcome.ADVICE: "!", Outcome.FAILED: "✗", Outcome.SKIPPED: "–"}
PLAIN_MARKS = {Outcome.GOOD: "ok", Outcome.ADVICE: "!", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "-"}


class Command(BaseCommand):
    help = "Tries the whole way from a view to a page, through the real proxy and push server, and says what to mend."
    requires_system_checks = []  # they are a step of their own, and the others say more

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", help="Where browsers find the site (default: guessed from the settings).")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for finding in diagnose(site=options["url"]):
            self.show(finding)
            failed += finding.outcome is Outcome.FAILED
        if failed:
            raise CommandError("One thing is to be mended." if failed == 1 else f"{failed} things are to be mended.")

    def show(self, finding: Finding) -> None:
        """Write a finding and, below it, what to do."""
        marks = MARKS if self.can_write("".join(MARKS.values())) else PLAIN_MARKS
        style = {
            Outcome.GOOD: self.style.SUCCESS,
            Outcome.ADVICE: self.style.WARNING,
            Outcome.FAILED: self.style.ERROR,
        }.get(finding.outcome, str)
        self.stdout.write(f"{style(marks[finding.outcome])} {finding.step}: {finding.text}")
        if finding.remedy:
            self.stdout.write(f"    {finding.remedy}")
        self.stdout.flush()

    def can_write(self, text: str) -> bool:
        """Tell whether the terminal has the characters of ``text``."""
        try:
            text.encode(getattr(self.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            return False
        return True
