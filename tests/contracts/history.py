"""What every broker that keeps history promises; the rest, and what a test of a broker needs, is in ``brokers``."""

from __future__ import annotations

import secrets
import threading
import time

import pytest

from django_jugpush.core.history import PAGE_BYTES, PAGE_LENGTH
from django_jugpush.core.positions import Position

from .brokers import PATIENCE, publication, words


def data(replay):
    """Return the data of what an answer holds."""
    return [bytes(one.data) for one in replay.publications]


def numbered(first, last, /, **more):
    return [publication(id=f"id{number}", data=b"%d" % number, **more) for number in range(first, last + 1)]


class HistoryContract:
    """The promises of a broker that keeps history. Its channels are fresh for each test."""

    @pytest.fixture
    def channel(self):
        return f"channel-{secrets.token_hex(8)}"

    @pytest.fixture
    def publish(self, bus, channel):
        """Listen, and return what publishes numbers to the channel and returns what was heard."""
        bus.listen(channel)
        broker = bus.broker()

        def publish(first, last, /, **more):
            batch = numbered(first, last, channel=channel, **more)
            broker.publish(batch)
            return [bus.next() for _ in batch]

        return publish

    def test_positions_count_up(self, bus, publish):
        """In one epoch, and their times do not go back."""
        heard = [one.position for one in [*publish(1, 3), *publish(4, 4)]]
        assert [position.offset for position in heard] == [1, 2, 3, 4]
        assert len({position.epoch for position in heard}) == 1
        assert heard[0].epoch
        times = [position.ms for position in heard]
        assert times == sorted(times)
        assert abs(times[-1] / 1000 - time.time()) < PATIENCE

    def test_what_was_missed_is_read(self, bus, channel, publish):
        """As it was heard, position and all."""
        heard = publish(1, 5, exclude=("client-0123456789",))
        replay = bus.read(channel, heard[1].position)
        assert replay.is_complete and not replay.more
        assert [words(one) for one in replay.publications] == [words(one) for one in heard[2:]]
        assert [one.position for one in replay.publications] == [one.position for one in heard[2:]]
        assert replay.position == heard[-1].position

    def test_nothing_is_missed_at_the_end(self, bus, channel, publish):
        *_, last = publish(1, 5)
        replay = bus.read(channel, last.position)
        assert (replay.is_complete, data(replay), replay.position) == (True, [], last.position)

    def test_without_a_position_the_end_is_told(self, bus, channel, publish):
        *_, last = publish(1, 5)
        replay = bus.read(channel)
        assert (replay.is_complete, data(replay), replay.position) == (True, [], last.position)

    def test_channel_without_publications_is_at_a_moment(self, bus, channel, publish):
        """From which on everything is there."""
        before = bus.read(channel)
        assert before.is_complete and before.position.is_moment
        assert abs(before.position.ms / 1000 - time.time()) < PATIENCE
        assert bus.read(channel, before.position).is_complete
        publish(1, 3)
        assert data(bus.read(channel, before.position)) == [b"1", b"2", b"3"]

    def test_what_came_at_a_moment_or_later_is_read(self, bus, channel, publish):
        *_, last = publish(1, 30)
        moment = last.position.ms + 1
        while time.time() * 1000 < moment + 1:
            pass
        assert data(bus.read(channel, Position.moment(moment))) == []
        later = publish(31, 33)
        assert data(bus.read(channel, Position.moment(moment))) == [b"31", b"32", b"33"]
        replay = bus.read(channel, Position.moment(later[0].position.ms))
        assert (replay.is_complete, data(replay), replay.position) == (True, [b"31", b"32", b"33"], later[2].position)
        first = bus.read(channel, Position.moment(last.position.ms - PATIENCE * 1000))
        assert first.is_complete is (last.position.ms - PATIENCE * 1000 >= self.begins(bus))

    def begins(self, bus):
        """Return the moment at which the broker's memory begins."""
        raise NotImplementedError

    def test_moment_before_the_memory_begins_is_lost(self, bus, channel, publish):
        """Nobody knows what was then, whether the channel has a stream or not."""
        before = Position.moment(self.begins(bus) - 1)
        assert not bus.read(channel, before).is_complete
        assert bus.read(channel, Position.moment(self.begins(bus))).is_complete
        *_, last = publish(1, 2)
        replay = bus.read(channel, before)
        assert (replay.is_complete, data(replay), replay.position) == (False, [], last.position)

    def test_long_stream_is_read_page_by_page(self, bus, channel, publish):
        """From an entry and from a moment."""
        start = bus.read(channel).position
        number = PAGE_LENGTH * 2 + 50
        heard = publish(1, number, history=(1000, 60))
        for since, expected in ((start, heard), (heard[0].position, heard[1:])):
            read, pages, more = [], 0, True
            while more:
                replay = bus.read(channel, since)
                assert replay.is_complete and len(replay.publications) <= PAGE_LENGTH
                read += replay.publications
                since, more, pages = replay.position, replay.more, pages + 1
            assert [one.position for one in read] == [one.position for one in expected]
            assert pages == 3

    def test_page_is_bounded_in_bytes(self, bus, channel, publish):
        """And holds one publication at least."""
        start = bus.read(channel).position
        bus.listen(channel)
        big = b'"%s"' % (b"x" * (PAGE_BYTES // 3))
        huge = b'"%s"' % (b"x" * PAGE_BYTES)
        bus.broker().publish([publication(channel, one) for one in (big, big, big, huge, huge)])
        bus.take(5)
        lengths, since, more = [], start, True
        while more:
            replay = bus.read(channel, since)
            lengths.append(len(replay.publications))
            since, more = replay.position, replay.more
        assert lengths == [2, 1, 1, 1]

    def test_trimmed_stream_is_not_complete(self, bus, channel, publish):
        """A broker may keep more than it was asked to, and no less."""
        moment = bus.read(channel).position
        first, *_ = publish(1, 1)
        heard = publish(2, 450, history=(20, 60))
        for since in (moment, first.position):
            replay = bus.read(channel, since)
            assert (replay.is_complete, data(replay), replay.position) == (False, [], heard[-1].position)
        assert data(bus.read(channel, heard[-20].position)) == [b"%d" % number for number in range(432, 451)]

    def test_old_stream_is_not_complete(self, bus, channel, publish):
        """Its end is known all the same."""
        heard = publish(1, 3, history=(10, 0.05))
        while (replay := bus.read(channel, heard[0].position)).is_complete:
            assert time.time() * 1000 - heard[0].position.ms < PATIENCE * 1000
        assert (data(replay), replay.position) == ([], heard[2].position)
        assert bus.read(channel, heard[2].position).is_complete
        assert publish(4, 4)[0].position.offset == 4

    def test_all_that_is_kept_can_be_missed(self, bus, channel):
        """Whoever missed no more gets it, also where a broker keeps no more than it was asked to."""
        bus.listen(channel)
        big = b'"%s"' % (b"x" * 10_000)
        bus.broker().publish([publication(channel, big, history=(3, 60)) for _ in range(6)])
        heard = [bus.next() for _ in range(6)]
        assert data(bus.read(channel, heard[2].position)) == [big] * 3
        replay = bus.read(channel, heard[1].position)
        assert len(replay.publications) == (4 if replay.is_complete else 0)

    def test_what_came_after_a_silence_is_read(self, bus, channel, publish):
        """What is forgotten by then whoever was there before has had, and whoever comes from a later page."""
        heard = publish(1, 2, history=(10, 0.05))
        moment = Position.moment(heard[1].position.ms + 1)
        while bus.read(channel, heard[0].position).is_complete:
            assert time.time() * 1000 - heard[0].position.ms < PATIENCE * 1000
        heard += publish(3, 3, history=(10, 60))
        for since in (heard[1].position, moment):
            replay = bus.read(channel, since)
            assert (replay.is_complete, data(replay), replay.position) == (True, [b"3"], heard[2].position)
        for since in (heard[0].position, Position.moment(heard[1].position.ms)):
            assert not bus.read(channel, since).is_complete

    @pytest.mark.parametrize("history", [(0, 60), (0, 0), (10, 0)], ids=str)
    def test_channel_without_history_keeps_its_end(self, bus, channel, publish, history):
        heard = publish(1, 3, history=history)
        assert bus.read(channel, heard[2].position).is_complete
        assert not bus.read(channel, heard[1].position).is_complete
        assert publish(4, 4, history=history)[0].position.offset == 4

    def test_history_is_that_of_the_newest_publication(self, bus, channel, publish):
        """A channel whose declaration changed forgets what it kept."""
        heard = publish(1, 3)
        publish(4, 4, history=(0, 60))
        heard += publish(5, 6)
        assert not bus.read(channel, heard[2].position).is_complete
        assert data(bus.read(channel, heard[3].position)) == [b"6"]

    @pytest.mark.parametrize("change", [{"epoch": "other"}, {"offset": 40}, {"offset": 1}, {"ms": 7}], ids=str)
    def test_position_of_another_past_is_not_complete(self, bus, channel, publish, change):
        """Whichever of its parts is another."""
        heard = publish(1, 4)
        replay = bus.read(channel, heard[2].position._replace(**change))
        if change == {"offset": 1} and heard[0].position.ms == heard[2].position.ms:
            assert replay.is_complete  # it is that of the first
        else:
            assert (replay.is_complete, data(replay), replay.position) == (False, [], heard[3].position)

    def test_position_in_a_channel_without_a_stream_is_not_complete(self, bus, channel, publish):
        replay = bus.read(channel, Position("epoch", 3, 7))
        assert not replay.is_complete and replay.position.is_moment

    def test_last_is_for_who_cannot_have_it(self, bus, channel, publish):
        """Who comes, or comes back from too long ago; not who has what came before it, or gets it anyway."""
        moment = bus.read(channel).position
        heard = publish(1, 2, last=True)
        for replay in (bus.read(channel), bus.read(channel, Position.moment(heard[1].position.ms + 5000))):
            assert (replay.is_complete, data(replay), replay.position) == (True, [b"2"], heard[1].position)
            assert replay.publications[0].position == heard[1].position
        assert data(bus.read(channel, moment)) == [b"1", b"2"]
        assert data(bus.read(channel, heard[0].position)) == [b"2"]
        assert data(bus.read(channel, heard[1].position)) == []
        lost = bus.read(channel, Position("epoch", 3, 7))
        assert (lost.is_complete, data(lost)) == (False, [b"2"])

    def test_last_outlives_the_history(self, bus, channel, publish):
        publish(1, 2, last=True, history=(0, 0))
        assert data(bus.read(channel)) == [b"2"]

    def test_last_comes_once_in_a_long_replay(self, bus, channel, publish):
        """Where it belongs."""
        since = bus.read(channel).position
        publish(1, PAGE_LENGTH + 1, last=True, history=(1000, 60))
        first = bus.read(channel, since)
        assert data(first) == [b"%d" % number for number in range(1, PAGE_LENGTH + 1)]
        assert data(bus.read(channel, first.position)) == [b"%d" % (PAGE_LENGTH + 1)]

    @pytest.mark.parametrize(
        "after", [{"data": b"null", "last": True}, {"stale": "size", "last": True}, {"last": False}], ids=str
    )
    def test_last_is_taken_away(self, bus, channel, publish, after):
        """By null, and by what is no value."""
        publish(1, 2, last=True)
        bus.broker().publish([publication(channel, **after)])
        bus.next()
        assert data(bus.read(channel)) == []

    def test_batch_of_several_channels_is_numbered_in_each(self, bus, channel):
        """And what the newest of each says of its history and of new subscribers counts."""
        a, b = f"{channel}-a", f"{channel}-b"
        bus.listen(a, b)
        broker = bus.broker()
        for first in (1, 4):
            broker.publish(
                [
                    publication(a, b"%d" % first),
                    publication(b, b"%d" % first, history=(2, 60)),
                    publication(a, b"%d" % (first + 1)),
                    publication(a, b"%d" % (first + 2), last=True),
                    publication(b, b"%d" % (first + 2), history=(2, 60)),
                ]
            )
        heard = [bus.next() for _ in range(10)]
        assert [(one.channel, one.position.offset) for one in heard] == [
            (name, offset + rounds * step)
            for rounds in (0, 1)
            for name, offset, step in [(a, 1, 3), (b, 1, 2), (a, 2, 3), (a, 3, 3), (b, 2, 2)]
        ]
        assert data(bus.read(a, heard[0].position)) == [b"2", b"3", b"4", b"5", b"6"]
        assert data(bus.read(a)) == [b"6"]
        assert data(bus.read(b, heard[6].position)) == [b"6"]
        assert data(bus.read(b)) == []

    def test_again_publishes_nothing_twice(self, bus, channel, publish):
        """Only what did not arrive the first time."""
        heard = publish(1, 3)
        bus.publish_again(numbered(2, 5, channel=channel))
        assert [one["data"] for one in bus.take(2)] == [b"4", b"5"]
        replay = bus.read(channel, heard[0].position)
        assert data(replay) == [b"2", b"3", b"4", b"5"]

    def test_again_knows_what_is_not_kept_by_what_came_after_it(self, bus, channel, publish):
        """A batch may be longer than the history."""
        publish(1, 200, history=(2, 60))
        bus.publish_again(numbered(1, 201, channel=channel, history=(2, 60)))
        assert bus.data() == b"201"

    def test_again_looks_at_each_channel_for_itself(self, bus, channel, publish):
        """The others may have had what this one has not."""
        publish(1, 2)
        bus.listen(f"{channel}-b")
        both = [publication(name, data=b"%d" % n, id=f"id{n}") for n in (2, 3) for name in (channel, f"{channel}-b")]
        bus.publish_again(both)
        assert [(one["channel"], one["data"]) for one in bus.take(3)] == [
            (f"{channel}-b", b"2"),
            (channel, b"3"),
            (f"{channel}-b", b"3"),
        ]
        for name in (channel, f"{channel}-b"):
            before = bus.read(name).position
            bus.broker().publish([publication(name, b"4")])
            assert bus.next().position.offset == before.offset + 1
            replay = bus.read(name, before)
            assert (replay.is_complete, data(replay)) == (True, [b"4"])

    def test_again_finds_the_newest_where_nothing_is_kept(self, bus, channel, publish):
        publish(1, 1, history=(0, 0))
        bus.publish_again(numbered(1, 2, channel=channel, history=(0, 0)))
        assert bus.data() == b"2"

    def test_again_where_nothing_is_kept_any_more(self, bus, channel, publish):
        """Though something is still there of when more was."""
        publish(1, 3)
        bus.publish_again(numbered(3, 4, channel=channel, history=(0, 0)))
        assert bus.data() == b"4"

    @pytest.mark.parametrize("name", ["dům:čaj ☕", "{a}*?[b]%", "}", "a:b:c", ":", "a b", '"\\', "%7B"], ids=ascii)
    def test_any_name_has_a_stream_of_its_own(self, bus, channel, name):
        bus.listen(name + channel, channel)
        broker = bus.broker()
        broker.publish([publication(name + channel, '{"text": "čaj ☕ 𝄞"}'.encode()), publication(channel)])
        first, _ = bus.next(), bus.next()
        broker.publish([publication(name + channel, b"2", last=True)])
        bus.next()
        replay = bus.read(name + channel, first.position)
        assert (replay.is_complete, data(replay)) == (True, [b"2"])
        assert replay.publications[0].channel == name + channel
        assert bus.read(channel).position.offset == 1

    def test_two_publishers_number_one_stream(self, bus, channel, publish):
        """Each from a thread of its own."""
        since = bus.read(channel).position
        brokers = [bus.broker(), bus.broker()]

        def work(number):
            for count in range(50):
                brokers[number].publish([publication(channel, b"%d" % count, id=f"{number}-{count}")])

        threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        heard = [bus.next() for _ in range(100)]
        assert [one.position.offset for one in heard] == list(range(1, 101))
        assert [one.position for one in bus.read(channel, since).publications] == [one.position for one in heard]
