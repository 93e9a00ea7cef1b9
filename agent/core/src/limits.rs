//! Every bound of the core, with its reason.

use std::time::Duration;

/// Models that may be known at once, in the catalogue or loaded. A disk holds fewer.
pub const MODELS_MAX: usize = 4_096;

/// Nodes that may be known at once: what one scheduler scans in 100 µs.
pub const NODES_MAX: usize = 1_024;

/// Replicas that may be known at once: several on each node.
pub const REPLICAS_MAX: usize = 8_192;

/// Keys whose use is counted apart. Further ones count in the totals alone.
pub const KEYS_COUNTED_MAX: usize = 4_096;

/// After a failed load, how long until the next attempt. Opening a large model keeps a disk busy for
/// minutes, and a damaged file does not mend itself.
pub const LOAD_RETRY: Duration = Duration::from_secs(10);

/// How long requests on a degraded device may go on before their replica moves: as for an unload.
pub const DEGRADED_GRACE: Duration = Duration::from_secs(60);

/// The same on a lost one: nothing that runs there will end well, and others wait for the move.
pub const LOST_GRACE: Duration = Duration::from_secs(2);

/// Told to a client whose model is still loading: soon enough to catch most loads, late enough that a
/// thousand waiting clients are no load.
pub const LOADING_RETRY: Duration = Duration::from_secs(5);

/// Told to a client when there is no slot: about one short answer.
pub const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Bytes of a membership datagram: within the least that QUIC over IPv6 carries unbroken (RFC 9000,
/// section 14: 1,200) after its own headers.
pub const DATAGRAM_BYTES_MAX: usize = 1_100;

/// A node that wakes up so much later than it wanted to was kept from listening.
pub const LAG: Duration = Duration::from_millis(100);

/// The most that a node doubts itself: its waits are then nine times as long, as in Lifeguard.
pub const DOUBT_MAX: u32 = 8;

/// How often a node that sees nobody asks for the others: often enough that a mended network is one
/// cluster again within seconds.
pub const SEEK_ALONE: Duration = Duration::from_secs(1);

/// How often a node asks for those that it misses while it sees others: what is gone for days costs
/// next to nothing.
pub const SEEK_OTHERS: Duration = Duration::from_secs(5);

/// How many nodes it then asks: several, so that one that is gone for good does not hold it up.
pub const SEEK_PEERS: usize = 3;

/// How many lives of a node may have passed since it last spoke itself: a start each second for twelve
/// days. Others cannot push a node's generation further than that at once, so it always has one left.
pub const LIVES_AHEAD_MAX: u64 = 1 << 20;

/// How often a suspect is told so before it is taken for dead: at a tenth of loss each way, one in 150
/// times (0.19³) no question and answer get through.
pub const ASKS: u32 = 3;

/// The highest generation in which a node is heard.
pub const GENERATION_MAX: u64 = 1 << 63;

/// The highest generation that a node lets others say it is in: as many again are left to it.
pub const CLAIM_MAX: u64 = 1 << 62;

/// How often a node is told that it is held for dead, or in a later life than it says: it answers at
/// once, and what it answers may be wrong again.
pub const CORRECT_PERIOD: Duration = Duration::from_millis(200);

/// How long a node has to answer whose machine says that nobody listens there: a hundred round trips
/// of a local network.
pub const CONFIRM: Duration = Duration::from_millis(120);

/// How many are told at once of a node that is gone for certain; the rest hear it from them.
pub const TOLD_MAX: usize = 32;

// === the cluster's state ===

/// Bytes of a name of a node or a cluster: what a host name may have (RFC 1035).
pub const NAME_BYTES_MAX: usize = 63;

/// Bytes of a public key as SPKI in DER. One of RSA with 4,096 bits has 550; ours have 44.
pub const PUBLIC_KEY_BYTES_MAX: usize = 600;

/// Bytes of an authority's certificate in DER. Ours have some 400.
pub const CERTIFICATE_BYTES_MAX: usize = 4_096;

/// Authorities that are trusted at once: the active one, the next one, and two that still retire.
pub const AUTHORITIES_MAX: usize = 4;

/// Nodes that vote, those that await approval included: a majority of more is slow and no safer.
pub const VOTERS_MAX: usize = 7;

/// Join tokens that are kept at once, used and lately expired ones included: a rack in one go.
pub const TOKENS_MAX: usize = 256;

/// The longest that a join token may be valid, in seconds: 30 days.
pub const TOKEN_TTL_S_MAX: u64 = 30 * 86_400;

/// How long an expired token is remembered, in seconds, so that whoever comes with it is told why.
pub const TOKEN_KEPT_S: u64 = 3_600;

/// Removed nodes that are remembered. Beyond that the oldest is forgotten: by then its certificate is
/// long over, and every token from before its removal.
pub const REMOVED_MAX: usize = 1_024;

/// Labels of one node: more than people can oversee.
pub const LABELS_MAX: usize = 32;

/// Bytes of a label's key.
pub const LABEL_KEY_BYTES_MAX: usize = 63;

/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES_MAX: usize = 255;

/// Plugins that may be added: more than anybody has read the consents of.
pub const PLUGINS_MAX: usize = 64;

/// Earlier versions of a plugin that are kept to go back to: their components are on every node's disk.
pub const VERSIONS_KEPT: usize = 4;

/// Things that one plugin may touch: thirty services can be made with it, each with a host and a key of its own.
pub const GRANTS_MAX: usize = 64;

/// Things that somebody agrees to at once: what a person can still judge.
pub const CONSENT_GRANTS_MAX: usize = 32;

/// Keys whose signatures are believed.
pub const SIGNERS_MAX: usize = 32;

/// Bytes of a plugin's version: what semver needs, with a commit behind it.
pub const PLUGIN_VERSION_BYTES_MAX: usize = 128;

/// Bytes of a reason for a grant, or for going back.
pub const PLUGIN_REASON_BYTES_MAX: usize = 256;

/// Bytes of the name of whoever agreed: a user at a machine.
pub const PLUGIN_PERSON_BYTES_MAX: usize = 128;

/// Bytes of the address from which a plugin came.
pub const PLUGIN_SOURCE_BYTES_MAX: usize = 512;

/// Bytes of a signer's key: minisign's have 56.
pub const SIGNER_KEY_BYTES_MAX: usize = 64;

/// Bytes of one encoded command. The largest, a plugin with all grants that it may have, has 18 KiB.
pub const COMMAND_BYTES_MAX: usize = 20_480;

/// Bytes of the whole encoded state: 1,024 nodes with every label as long as may be are 11 MiB, 64 plugins
/// with all that they may touch 2 MiB, 1,024 users 2 MiB.
pub const STATE_BYTES_MAX: usize = 16 << 20;

/// People who may sign in: more than one such cluster has, and a directory that is larger has a group for those who may.
pub const USERS_MAX: usize = 1_024;

/// Bytes of a user's name: the longest that directories and mail addresses in use have.
pub const USER_NAME_BYTES_MAX: usize = 64;

/// Bytes of what a user is called in full.
pub const USER_DISPLAY_BYTES_MAX: usize = 128;

/// Bytes of a password's hash: a PHC string of Argon2id with 16 bytes of salt and 32 of hash has 97.
pub const PASSWORD_HASH_BYTES_MAX: usize = 160;

/// Bytes of what a directory or a provider calls somebody: a distinguished name, an issuer, or a subject (which has 255 at most).
pub const USER_SOURCE_BYTES_MAX: usize = 512;

/// Bytes of the settings of a directory or a provider, a chain of certificates included.
pub const DOOR_SETTINGS_BYTES_MAX: usize = 12 << 10;

/// Actions of one plan: the largest step has some thirty, and nobody reads hundreds before agreeing.
pub const INSTALL_ACTIONS_MAX: usize = 256;

/// Bytes of one file that a plan writes: configuration and units have some KiB.
pub const INSTALL_CONTENT_BYTES_MAX: usize = 1 << 20;

/// Bytes of a whole plan: it is one record of a journal and one message to the privileged helper.
pub const INSTALL_PLAN_BYTES_MAX: usize = 2 << 20;

/// Bytes of a sentence, a line or an address in a plan.
pub const INSTALL_TEXT_BYTES_MAX: usize = 4 << 10;

/// Lines of one block in a file of others.
pub const INSTALL_LINES_MAX: usize = 1_024;

/// Names in one list: packages of one action, hosts of one certificate.
pub const INSTALL_NAMES_MAX: usize = 64;

/// Bytes of one download of a plan: programs and drivers, no models.
pub const INSTALL_DOWNLOAD_BYTES_MAX: u64 = 4 << 30;

/// Records of one journal: a plan of `INSTALL_ACTIONS_MAX` takes some 1,300 there and back; the rest is for trying again.
pub const INSTALL_RECORDS_MAX: usize = 8_192;

/// Bytes of a run's name.
pub const RUN_ID_BYTES_MAX: usize = 64;
