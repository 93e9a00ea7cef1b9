//! The limits of adopting a node, each with its reason.
//!
//! Decides numbers and nothing else. How often digits may be compared is what makes six of them enough.

use std::time::Duration;

/// Exchanges that lead to digits, or are broken off before, in a minute: a person needs longer for one.
pub const ADOPT_TRIES_PER_MINUTE: usize = 4;

/// The same while a node waits to be adopted, all together: somebody between has so many chances in a million. After that
/// a person opens it anew.
pub const ADOPT_TRIES_EACH_OFFER: u32 = 16;

/// Between one exchange and the next.
pub const ADOPT_PAUSE: Duration = Duration::from_secs(1);

/// Each step of an exchange: a message there and back, and a signature.
pub const ADOPT_STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long people may compare digits: time to walk to the other machine and back.
pub const ADOPT_COMPARE_TIME: Duration = Duration::from_mins(5);

/// How long the other machine may take to join once it has its token; the token is good for as long.
pub const ADOPT_JOIN_TIME: Duration = Duration::from_mins(2);

/// A message of the exchange: a key, a signature and a name have some 300 bytes, a token at most a thousand.
pub const ADOPT_BYTES_MAX: usize = 4 << 10;

/// Letters of a name that another machine says of itself.
pub const ADOPT_NAME_LETTERS: usize = 64;

/// Machines that one node adopts at the same time.
pub const ADOPT_AT_ONCE: usize = 4;

/// Adoptions that are remembered, over ones included.
pub const ADOPT_REMEMBERED: usize = 16;

/// How long a node waits to be adopted unless it is said: as a join token is good.
pub const ADOPT_OFFER: Duration = Duration::from_mins(15);

/// Longer, and nobody would be there to compare.
pub const ADOPT_OFFER_MAX: Duration = Duration::from_hours(1);

/// Shorter, and nobody could.
pub const ADOPT_OFFER_MIN: Duration = Duration::from_secs(10);
