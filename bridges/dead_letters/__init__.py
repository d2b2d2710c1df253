"""Dead letters: events that no attempt could deliver to a group, and the actions on them.

- `queries`       pages of dead letters, single ones, and the number that a selection matches
- `actions`       redrive (unchanged or edited) and discard; each action is recorded
- `summaries`     dead letters grouped by error, and as lines of JSON
- `permissions`   permissions to see them and act on them, and masking
- `revalidation`  checks of an event against the active contract

The operations use the threads' connection to Redis. They take and return values, so that the API and the admin share
them.
"""

from bridges.dead_letters.actions import discard, redrive, redrive_edited
from bridges.dead_letters.permissions import demand_editing, mask_for_reader
from bridges.dead_letters.queries import check_group, count, get, preview, read_page
from bridges.dead_letters.revalidation import Revalidation, revalidate
from bridges.dead_letters.summaries import Export, by_error, export
from synapse.dead_letters import DeadLetter, DeadLetterCriteria, Errors, Ids, Page, Selection
