//! Limits of signing in with a browser, and of setting a machine up.

use std::time::Duration;

use super::KIB;

// === signing in ===

/// Browsers that are signed in at once. One more takes the place of the one that was idle longest.
pub const SESSIONS_MAX: usize = 64;

/// A session that nobody used for so long has ended: a working day and some.
pub const SESSION_IDLE: Duration = Duration::from_hours(12);

/// However much it is used, a session ends at last, as a cookie that was copied should.
pub const SESSION_LIFE: Duration = Duration::from_hours(30 * 24);

/// Cookies of one request are looked at so far. Other servers of the same machine put theirs there, too.
pub const COOKIES_BYTES_MAX: usize = 8 * KIB;

/// Wrong secrets and keys from one address until it has to wait. People mistype; who guesses 192 bits does not get there.
pub const SIGN_INS_WRONG_MAX: u32 = 10;

/// For so long these are remembered.
pub const SIGN_INS_WINDOW: Duration = Duration::from_mins(1);

/// Addresses that are remembered for it. When there are more, newcomers wait until one is forgotten.
pub const SIGN_INS_ADDRESSES: usize = 1_024;

/// A link that opens the setup is good for so long: until the evening of the day on which a machine was started.
pub const SETUP_LINK_LIFE: Duration = Duration::from_hours(24);

// === steps ===

/// Facts that are younger are used as they are: several questions come at once when a page opens.
pub const SETUP_FACTS_FRESH: Duration = Duration::from_secs(2);

/// While somebody types, facts may be as old as this.
pub const SETUP_FACTS_KEPT: Duration = Duration::from_mins(5);

/// Parts whose state is kept. There are a dozen of our own; operators may add some.
pub const SETUP_PARTS_MAX: usize = 256;

// === trials ===

/// A node that has just joined hears of the others within a second or two.
pub const SETUP_SETTLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A request to ourselves is answered at once, or something is in the way.
pub const SETUP_KNOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The first line of an answer fits well.
pub const SETUP_KNOCK_BYTES: usize = 4 * KIB;

/// For loading a small model, on a machine that does much else.
pub const SETUP_LOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// For sixteen tokens.
pub const SETUP_ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Written to measure a disk: more than its own memory hides, little for one that wears.
pub const SETUP_DISK_BYTES: usize = 64 << 20;

/// For each card.
pub const SETUP_CARD_SECONDS: u32 = 5;

// === the local network ===

/// How long a certificate holds that `skep up --lan` made: browsers take no more from anyone.
pub const LAN_CERTIFICATE_DAYS: i64 = 397;

/// One that holds for fewer days is made anew at the next start.
pub const LAN_CERTIFICATE_DAYS_LEFT: i64 = 30;

/// How long the last step waits for an authority's certificate: it looks at the names from several places.
pub const SETUP_CERTIFICATE_TIMEOUT: Duration = Duration::from_secs(90);

/// Steps that are asked, planned or looked at once at a time: each computes on a thread of its own, and people answer one question at
/// a time.
pub const SETUP_LOOKS_MAX: usize = 4;

/// How long further ones wait before they are told to come back: longer than any step takes.
pub const SETUP_LOOKS_WAIT: Duration = Duration::from_secs(10);

/// How long `skep doctor` has the steps look at this machine, all together: the first time each is compiled.
pub const DOCTOR_STEPS_WAIT: Duration = Duration::from_secs(15);
