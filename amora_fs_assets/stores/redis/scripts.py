"""Scripts that Redis runs: which of two rows stays, and compare-and-swap of a state. No row is read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

BATCH, PUSH = b"batch", b"push"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a script over some keys; on a cluster all of one slot."""

    keys: Sequence[bytes]
    head: Sequence[bytes]  # arguments of the call
    columns: Sequence[Sequence[Any]]  # arguments per key

    @property
    def arguments(self) -> list[Any]:
        """ARGV of the script."""
        return [*self.head, *(value for column in self.columns for value in column)]

    def one_by_one(self) -> Iterator[Call]:
        """One call per key."""
        for place, key in enumerate(self.keys):
            yield Call([key], self.head, [[column[place]] for column in self.columns])


# ARGV: the expected value and the new value. Returns whether the stored value was the expected one.
SWAP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

# ARGV: BATCH or PUSH; the keys' rows; their expiries [ms since 1970; 0: none]. Returns the number of written rows.
# Positions as in row_codec.py: sequence 2-5, flags 6, event_timestamp 11-18, created_timestamp 19-27.
#
# The rule is in docs/protocol.md, "Which row stays in Redis". A null created_timestamp counts as event_timestamp.
WRITE = """
local pushing = ARGV[1] == 'push'
local count = #KEYS
local sub, byte, char = string.sub, string.byte, string.char

local function ordered(row, at)  -- a signed number, so that comparing bytes compares numbers
  return char((byte(row, at) + 128) % 256) .. sub(row, at + 1, at + 7)
end

local function times(row)
  if byte(row, 19) == 0xd3 then return ordered(row, 11) .. ordered(row, 20) end
  return ordered(row, 11) .. ordered(row, 11)
end

local written = 0
for i = 1, count do
  local key, row, expiry = KEYS[i], ARGV[i + 1], ARGV[count + i + 1]
  local stored = redis.call('GETRANGE', key, 0, 26)
  local wins = #stored < 19
  if not wins then
    local new, old = sub(row, 2, 5), sub(stored, 2, 5)
    local pushed = byte(stored, 6) % 2 == 1
    local later, earlier = times(row), times(stored)
    if not pushing then
      wins = new > old or (new == old and (pushed or later >= earlier)) or (pushed and later >= earlier)
    else
      wins = later > earlier and (pushed or new > old)
    end
  end
  if wins then
    if expiry == '0' then redis.call('SET', key, row) else redis.call('SET', key, row, 'PXAT', expiry) end
    written = written + 1
  end
end
return written
"""
