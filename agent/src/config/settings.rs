//! What the agent works with: every value present, in range and agreeing with the others.
//!
//! The defaults stand here, each with its reason.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{
    ClusterConfig, Config, ConfigError, LogConfig, RequestConfig, SchedulerConfig, StateConfig,
};
use crate::cluster::{ClusterSettings, Place};
use crate::limits::PLACES_MAX;
use crate::scheduling::Source;
use crate::store::EngineKind;

mod acme;
mod backup;
mod http;
mod models;
mod node;

pub use self::acme::{AcmeSettings, LETS_ENCRYPT};
pub use self::backup::BackupSettings;
pub use self::http::{HttpSettings, TlsFiles};
pub use self::models::ModelSettings;
pub use self::node::NodeSettings;

/// A configuration that can be used as it stands.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node: NodeSettings,
    pub http: HttpSettings,
    pub requests: RequestSettings,
    pub models: ModelSettings,
    pub scheduler: SchedulerSettings,
    pub cluster: ClusterSettings,
    pub state: StateSettings,
    pub telemetry: TelemetrySettings,
    pub alerts: AlertSettings,
    /// None: the agent makes no backups by itself.
    pub backup: Option<BackupSettings>,
    pub log: LogSettings,
}

#[derive(Clone, Debug)]
pub struct RequestSettings {
    pub running_max: u32,
    pub queued_max: u32,
    pub per_key_max: u32,
    pub deadline: Duration,
}

#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    pub policy: Source,
}

#[derive(Clone, Debug)]
pub struct StateSettings {
    /// None: the one that the log is in already, or the usual one.
    pub engine: Option<EngineKind>,
}

#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    pub interval: Duration,
    pub sysfs: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// How long what was wrong must be gone until it is told as over.
    pub quiet: Duration,
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl TryFrom<Config> for Settings {
    type Error = ConfigError;

    fn try_from(config: Config) -> Result<Self, ConfigError> {
        let http = http::settings(config.http)?;
        let listen = http.listen;
        let node = node::settings(config.node)?;
        Ok(Self {
            http,
            requests: requests(&config.requests)?,
            models: models::settings(config.models, &node.computes_on)?,
            node,
            scheduler: scheduler(config.scheduler)?,
            cluster: cluster(&config.cluster, listen)?,
            state: state(config.state)?,
            telemetry: TelemetrySettings {
                // Once a second is as often as anything that reads it can use, and what a fault that is
                // to be known within three seconds needs.
                interval: Duration::from_millis(u64::from(ranged(
                    "telemetry.interval_ms",
                    config.telemetry.interval_ms,
                    1_000,
                    1_000,
                    3_600_000,
                )?)),
                sysfs: config.telemetry.sysfs,
            },
            alerts: AlertSettings {
                // What comes and goes within a minute is one matter.
                quiet: Duration::from_secs(u64::from(ranged(
                    "alerts.quiet_s",
                    config.alerts.quiet_s,
                    60,
                    1,
                    3_600,
                )?)),
            },
            backup: backup::settings(config.backup)?,
            log: log(config.log)?,
        })
    }
}

fn requests(config: &RequestConfig) -> Result<RequestSettings, ConfigError> {
    Ok(RequestSettings {
        // More than any one machine's engine runs at once; the engine queues within itself.
        running_max: ranged(
            "requests.running_max",
            config.running_max,
            2_048,
            1,
            1_000_000,
        )?,
        queued_max: ranged(
            "requests.queued_max",
            config.queued_max,
            2_048,
            0,
            1_000_000,
        )?,
        per_key_max: ranged(
            "requests.per_key_max",
            config.per_key_max,
            2_048,
            1,
            1_000_000,
        )?,
        // A long answer of a large model on a processor takes a good part of an hour.
        deadline: seconds("requests.deadline_s", config.deadline_s, 3_600, 1, 86_400)?,
    })
}

fn scheduler(config: SchedulerConfig) -> Result<SchedulerSettings, ConfigError> {
    let policy = config.policy.unwrap_or_else(|| "spread".into());
    let policy = Source::parse(&policy).map_err(|_| ConfigError::Value {
        key: "scheduler.policy",
        found: format!("`{}`", policy.escape_debug()),
        expect: "give `spread`, `pack`, `built-in`, or the absolute path of a component".into(),
    })?;
    Ok(SchedulerSettings { policy })
}

fn cluster(config: &ClusterConfig, http: SocketAddr) -> Result<ClusterSettings, ConfigError> {
    let address = |key: &'static str, text: &Option<String>| {
        let parsed = text.as_ref().map(|text| {
            text.parse::<SocketAddr>().map_err(|_| ConfigError::Value {
                key,
                found: format!("`{}`", text.escape_debug()),
                expect: "give an IP address and a port, as `192.168.1.10:7420` or `[::]:7420`"
                    .into(),
            })
        });
        parsed.transpose()
    };
    let listen = address("cluster.listen", &config.listen)?;
    let advertise = address("cluster.advertise", &config.advertise)?;
    if let Some(advertise) = advertise.filter(|advertise| advertise.ip().is_unspecified()) {
        return Err(ConfigError::Value {
            key: "cluster.advertise",
            found: format!("`{advertise}`"),
            expect: "give the address that other machines call this one by".into(),
        });
    }
    Ok(ClusterSettings {
        listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, http.port()))),
        advertise,
        // A week is as long as a stolen key is of use.
        certificate_life: seconds(
            "cluster.certificate_life_s",
            config.certificate_life_s,
            7 * 86_400,
            10,
            7 * 86_400,
        )?,
        announce: config.announce.unwrap_or(true),
        look: places(config.look.as_deref().unwrap_or_default())?,
    })
}

fn places(texts: &[String]) -> Result<Vec<Place>, ConfigError> {
    let wrong = |found: String, expect: String| ConfigError::Value {
        key: "cluster.look",
        found,
        expect,
    };
    if texts.len() > PLACES_MAX {
        let expect = format!(
            "{PLACES_MAX} are enough: a name may have several addresses, and a domain several names"
        );
        return Err(wrong(format!("{} places", texts.len()), expect));
    }
    let place = |text: &String| {
        let parsed = text.parse::<Place>();
        parsed.map_err(|why| wrong(format!("`{}`", text.escape_debug()), why.to_string()))
    };
    texts.iter().map(place).collect()
}

fn state(config: StateConfig) -> Result<StateSettings, ConfigError> {
    let Some(name) = config.engine else {
        return Ok(StateSettings { engine: None });
    };
    let engine = EngineKind::named(&name).ok_or_else(|| ConfigError::Value {
        key: "state.engine",
        found: format!("`{}`", name.escape_debug()),
        expect: "give `sled` or `redb`".into(),
    })?;
    Ok(StateSettings {
        engine: Some(engine),
    })
}

fn log(config: LogConfig) -> Result<LogSettings, ConfigError> {
    let format = match config.format.as_deref() {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            return Err(ConfigError::Value {
                key: "log.format",
                found: format!("`{}`", other.escape_debug()),
                expect: "give `text` or `json`".into(),
            });
        }
    };
    let filter = config.filter.unwrap_or_else(|| "info".into());
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        return Err(ConfigError::Value {
            key: "log.filter",
            found: format!("`{}`", filter.escape_debug()),
            expect: error.to_string(),
        });
    }
    Ok(LogSettings { filter, format })
}

fn seconds(
    key: &'static str,
    value: Option<u32>,
    default: u32,
    least: u32,
    most: u32,
) -> Result<Duration, ConfigError> {
    Ok(Duration::from_secs(u64::from(ranged(
        key, value, default, least, most,
    )?)))
}

fn ranged<T: Copy + PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: Option<T>,
    default: T,
    least: T,
    most: T,
) -> Result<T, ConfigError> {
    let value = value.unwrap_or(default);
    if value < least || value > most {
        return Err(ConfigError::Value {
            key,
            found: format!("`{value}`"),
            expect: format!("give {least} to {most}"),
        });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        let config: Config = toml::from_str(text).unwrap();
        Settings::try_from(config).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_stand() {
        let settings = settings("").unwrap();
        assert_eq!(settings.http.listen.to_string(), "127.0.0.1:7420");
        assert!(!settings.http.require_key);
        assert_eq!(settings.models.default.as_deref(), Some("tiny"));
        assert_eq!(settings.models.idle_unload, None);
        assert_eq!(settings.models.cache_type, None);
        assert_eq!(settings.state.engine, None);
    }

    #[test]
    fn what_cannot_be_used_says_what_can() {
        let check = |text: &str, parts: &[&str]| {
            let error = settings(text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        };
        check(
            "[http]\nlisten = \"localhost\"",
            &["http.listen", "127.0.0.1:7420"],
        );
        check(
            "[http]\nlisten = \"0.0.0.0:80\"",
            &[
                "without TLS",
                "http.tls_certificate",
                "http.tls_key",
                "127.0.0.1:80",
            ],
        );
        check(
            "[http]\nlisten = \"[::]:80\"\nrequire_key = false\ntls_key = \"k\"\ntls_certificate = \"c\"",
            &["without API keys", "http.require_key"],
        );
        check(
            "[http]\nlisten = \"[::]:80\"\ntls_key = \"k\"",
            &["http.tls_certificate", "TLS needs both"],
        );
        // On this machine alone, one after the other can be set.
        let half = settings("[http]\ntls_key = \"k\"").unwrap();
        assert!(half.http.tls.is_none());
        check(
            "[http]\nconnections_max = 0",
            &["http.connections_max", "1 to"],
        );
        check("[log]\nformat = \"xml\"", &["`xml`", "`json`"]);
        check("[log]\nfilter = \"a=b=c\"", &["log.filter"]);
        check("[node]\nname = \"\"", &["node.name"]);
        check("[models]\ndevices = []", &["models.devices", "skep node"]);
        check(
            "[node]\ndevice = \"cuda:one\"",
            &["node.device", "`cuda:one`", "`cuda:N`"],
        );
        check(
            "[node]\ndevice = \"metal\"",
            &["node.device", "`metal`", "`vulkan:N`"],
        );
        check(
            "[models]\ncache_type = \"q4-0\"",
            &["models.cache_type", "`q4-0`", "`auto`", "`q8-0`"],
        );
        check(
            "[models]\ndrafts = { large = \"no/such name\" }",
            &["models.drafts", "`no/such name` for `large`", "skep models"],
        );
        check("[models]\ndrafts = { one = \"one\" }", &["models.drafts"]);
        check(
            "[models]\nengines = { one = \"No Engine\" }",
            &["models.engines", "`No Engine` for `one`", "skep plugin ls"],
        );
        check("[telemetry]\ninterval_ms = 5", &["1000"]);
        check("[alerts]\nquiet_s = 0", &["alerts.quiet_s", "1 to"]);
        check(
            "[state]\nengine = \"rocks\"",
            &["state.engine", "`rocks`", "`redb`"],
        );
    }

    #[test]
    fn beyond_loopback_keys_are_required() {
        let text = "[http]\nlisten = \"0.0.0.0:80\"\ntls_key = \"k\"\ntls_certificate = \"c\"";
        assert!(settings(text).unwrap().http.require_key);
        assert!(settings("[http]\nlisten = \"127.0.0.9:1\"").is_ok());
    }
}
