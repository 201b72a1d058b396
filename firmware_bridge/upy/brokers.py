"""Where a board finds its broker, or those of a cluster, what each is believed to know of it, and when the next attempt is due."""

from .ticks import jittered, ticks_add, ticks_diff, ticks_ms

__all__ = ["Brokers"]

_SHIFT_MAX = 16
_BROKERS_MAX = 16


class Brokers:
    """The brokers in the order in which they are tried, each a host and a port; after the last comes the first again.

    How long is waited doubles with each round of all of them, from `retry_ms` to `retry_ms_max`; where all have refused us it is the
    longest.
    """

    def __init__(self, places: "list[tuple[str, int]]", retry_ms: int, retry_ms_max: int) -> None:
        if len(places) > _BROKERS_MAX:
            raise ValueError("there are %d brokers, %d is the most" % (len(places), _BROKERS_MAX))
        self._places = places
        self._retry_ms = retry_ms
        self._retry_ms_max = retry_ms_max
        self._fails = self._refusals = 0
        self._retry_at = ticks_ms()
        self.at = 0
        """Which it is, or which is to be tried next."""
        self.known = 0
        """Which are believed to have our subscriptions, bit 0 the first. They say when they have not."""
        self.forgot = False
        """Whether one that was believed to have them had not. Whoever asks for it sets it back."""

    @property
    def place(self) -> tuple[str, int]:
        """The host and port of the one that it is."""
        self.at %= len(self._places)
        return self._places[self.at]

    @property
    def subscribed(self) -> bool:
        """Whether it is believed to have our subscriptions."""
        return bool(self.known >> self.at & 1)

    @property
    def rest_ms(self) -> int:
        """How long nothing is tried."""
        return max(0, ticks_diff(self._retry_at, ticks_ms()))

    def told(self, reason: str) -> str:
        """A reason, and whose it is where there are several."""
        return reason if len(self._places) == 1 else "%s:%d: %s" % (self.place + (reason,))

    def granted(self) -> None:
        """It has our subscriptions."""
        self.known |= 1 << self.at

    def forget(self) -> None:
        """Believe no longer that it has them."""
        if self.subscribed:
            self.forgot = True
            self.known ^= 1 << self.at

    def refused(self) -> None:
        """It does not want us."""
        self._refusals += 1

    def stood(self, for_ms: int) -> None:
        """A connection has stood for so long: after the longest wait all begins anew."""
        if self._fails and for_ms >= self._retry_ms_max:
            self._fails = self._refusals = 0

    def failed(self, is_another_next: bool) -> None:
        """An attempt failed, or a connection broke; after that the same one is tried first, as it has our session."""
        count = len(self._places)
        delay_ms = min(self._retry_ms_max, self._retry_ms << min(self._fails // count, _SHIFT_MAX))
        if self._refusals >= count:
            delay_ms = self._retry_ms_max
        self._fails += 1
        self._retry_at = ticks_add(ticks_ms(), jittered(delay_ms))
        if is_another_next:
            self.at = (self.at + 1) % count
