"""Dead letters: the events that no attempt could deliver to a group, and the actions on them.

- `queries`       pages of them, one with its attempts, how many a selection matches
- `actions`       deliver them again (as they are, or edited), or throw them away; each action is recorded
- `summaries`     together by their errors, and as lines of JSON
- `permissions`   who may see them and act on them, and a letter masked for its reader
- `revalidation`  what the active contract says of an event

The operations use the threads' connection to Redis, take and return values, and do not know whether HTTP or a page
calls them.
"""

from bridges.dead_letters.actions import discard, redrive, redrive_edited
from bridges.dead_letters.permissions import demand_editing, seen_by
from bridges.dead_letters.queries import check_group, count, get, page, preview
from bridges.dead_letters.revalidation import Revalidation, revalidate
from bridges.dead_letters.summaries import Export, by_error, export
from synapse.dead_letters import DeadLetter, DeadLetterCriteria, Errors, Ids, Page, Selection
