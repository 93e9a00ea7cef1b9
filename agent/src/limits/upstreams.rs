//! What services, secrets and alerts may take.

use std::time::Duration;

/// Upstreams and notifiers of one node: each is a process while it is in use.
pub const SERVICES_MAX: usize = 64;

/// Bytes of one setting's value: an address with a long query.
pub const SETTING_BYTES_MAX: usize = 2 << 10;

/// Patterns of models that one upstream exposes.
pub const MODEL_PATTERNS_MAX: usize = 256;

/// Bytes of an offered model's name, its prefix included: as much as other nodes believe of one.
pub const OFFER_NAME_BYTES_MAX: usize = 256;

/// Requests and calls that one service holds at once: as many as its process takes.
pub const SERVICE_REQUESTS_MAX: usize = super::SERVICE_CALLS_MAX;

/// How long a service without anything to do stays: starting one takes some ten milliseconds, and it holds some 20 MiB.
pub const SERVICE_IDLE: Duration = Duration::from_mins(1);

/// How long calls under way hold up a plugin's new version: what takes longer ends with an error.
pub const PLUGIN_CHANGE_WAIT: Duration = Duration::from_secs(30);

/// The longest silence of an upstream between two events where the operator says nothing else: models that think at
/// length say nothing for minutes.
pub const SERVICE_SILENCE: Duration = Duration::from_mins(5);

/// How much later the service itself ends such a call, so that the agent's words are what is heard.
pub const SERVICE_SILENCE_SLACK: Duration = Duration::from_secs(5);

/// The longest silence that an operator may set.
pub const SERVICE_SILENCE_MAX: Duration = Duration::from_hours(1);

/// Until a connection to a service elsewhere stands, TLS included.
pub const SERVICE_CONNECT: Duration = Duration::from_secs(10);

/// How long an upstream may take to list its models.
pub const MODELS_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a notifier may take to deliver one alert.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(30);

/// How often an upstream that is well is asked what it offers.
pub const OFFERS_REFRESH: Duration = Duration::from_mins(5);

/// How soon one that is not is asked again; it doubles with each failure.
pub const OFFERS_RETRY: Duration = Duration::from_secs(2);

/// The most that it doubles to.
pub const OFFERS_RETRY_MAX: Duration = Duration::from_mins(1);

/// How soon it is looked whether anybody still listens at an upstream that is well and unused; the pause doubles.
pub const KNOCK_FIRST: Duration = Duration::from_secs(15);

/// The most that it doubles to: a connection a minute is nothing to a server.
pub const KNOCK_MAX: Duration = Duration::from_mins(1);

/// Until such a connection stands: far longer than to anybody on earth.
pub const KNOCK_TIME: Duration = Duration::from_secs(1);

/// How long a list of upstreams waits for a look at them.
pub const LOOK_TIME: Duration = Duration::from_millis(1_500);

/// Nobody looks at the same upstream more often, however many are told of it.
pub const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How long adding an upstream waits for its first list: enough for one that is there, its plugin's compilation included.
pub const FIRST_LIST: Duration = Duration::from_secs(5);

/// News of one pull that wait for their reader; what does not fit is progress, of which the next tells more.
pub const PULL_NEWS_MAX: usize = 32;

/// Hosts that are looked at for model servers in one go, the cluster's nodes among them.
pub const FIND_HOSTS_MAX: usize = 64;

/// Ports that are tried at the same time.
pub const FIND_AT_ONCE: usize = 32;

/// Until a connection to a server nearby stands.
pub const FIND_CONNECT: Duration = Duration::from_millis(500);

/// How long one may take with an answer: some list models from a disk.
pub const FIND_ANSWER: Duration = Duration::from_secs(3);

/// Bytes of such an answer: thousands of models.
pub const FIND_BYTES_MAX: u64 = 4 << 20;

/// Secrets of one node: several for each service.
pub const SECRETS_MAX: usize = 256;

/// Bytes of one: tokens with claims have some 4 KiB.
pub const SECRET_BYTES_MAX: usize = 8 << 10;

/// Alerts that are raised at once. What is over that is in the log, and raised when there is room.
pub const ALERTS_RAISED_MAX: usize = 1_024;

/// Alerts that are over and still shown.
pub const ALERTS_PAST_MAX: usize = 256;

/// Alerts that wait for one notifier. Who was away for so many reads `skep alerts`.
pub const ALERTS_WAITING_MAX: usize = 256;

/// The most that `alerts.quiet_s` doubles to for what comes back time and again.
pub const ALERT_QUIET_MAX: Duration = Duration::from_mins(32);

/// Within so long after its end what comes back counts as coming back.
pub const ALERT_MEMORY: Duration = Duration::from_hours(1);

/// After a delivery that failed; it doubles with each further one.
pub const DELIVERY_RETRY: Duration = Duration::from_secs(2);

/// The most that it doubles to.
pub const DELIVERY_RETRY_MAX: Duration = Duration::from_mins(10);

/// Between two alerts to one notifier: services that people read limit to about one a second.
pub const DELIVERY_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of one of an alert's texts: a paragraph.
pub const ALERT_TEXT_BYTES_MAX: usize = 2 << 10;

/// Of a disk that is so full, somebody should know: parts in a hundred.
pub const DISK_FULL_PERCENT: u64 = 95;

/// Such a disk does not count as full while so much is free: on large disks five parts in a hundred are plenty.
pub const DISK_FREE_ENOUGH_BYTES: u64 = 20 << 30;
