//! All other metrics, and the text of all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::clock::Timestamp;
use crate::wire::Transport;

use super::connections::ConnectionVecs;
use super::labels::{RotationCause, RoutingMap, RoutingResult};
use super::traffic::TrafficCollector;
use super::{Traffic, Writers};

/// All metrics of the process.
///
/// Methods are cheap and never block for long; a failed scrape loses nothing.
pub struct Metrics {
    /// What is rendered.
    registry: Registry,
    /// What the data plane's workers count.
    traffic: TrafficCollector,
    /// What is counted of connections.
    pub(super) connections: ConnectionVecs,
    /// Per pool: how many domains are in each state.
    domains: IntGaugeVec,
    /// Per pool: what is counted of its domains, in the order of [`COUNTS`].
    counts: Vec<IntGaugeVec>,
    /// Per pool: when the first registration of its domains ends.
    registration_expiry: GaugeVec,
    /// Per pool, and for the operator's own zones: when the first signature expires.
    rrsig_earliest_expiry: GaugeVec,
    /// The pools that have series now, with their states, so that those of a deleted one are taken
    /// away; kept consistent with the vectors above.
    pools: Mutex<BTreeMap<String, Vec<&'static str>>>,
    /// The mail hosts that have a series: when their first certificate expires.
    certificate_expiry: GaugeVec,
    /// The hosts that have a series now, so that those of a deleted one are taken away.
    hosts: Mutex<BTreeSet<String>>,
    /// Rotations by pool and cause.
    rotations: IntCounterVec,
    /// Changes that failed through no fault of their own.
    changes_failed: IntCounter,
    /// Signatures made.
    signatures: IntCounter,
    /// How long a zone took to sign.
    sign_duration: Histogram,
    /// How long a commit took.
    store_commit_duration: Histogram,
    /// The last durable revision.
    store_revision: IntGauge,
    /// The last served revision.
    published_revision: IntGauge,
    /// Mail hosts' look-ups by map and result, by their numbers: thousands a second look no label
    /// up.
    routing_lookups: Vec<Vec<IntCounter>>,
    /// API requests by route and status.
    api_requests: IntCounterVec,
    /// API requests' times by route and status.
    api_request_duration: HistogramVec,
}

/// The label `pool` of the operator's own zones, which are in none; no pool has this name, and
/// Prometheus reads an empty label as one that is not there.
const OWN_ZONES: &str = "";

/// What is counted of the domains of a pool: names and help texts, in the order of
/// [`PoolGauges::counts`].
const COUNTS: [(&str, &str); 7] = [
    (
        "mxpool_domains_ready",
        "Standby domains that could be activated now.",
    ),
    (
        "mxpool_domains_standby_wanted",
        "Standby domains that the pool's settings ask for.",
    ),
    (
        "mxpool_domains_suspended",
        "Domains that take no mail for a while.",
    ),
    (
        "mxpool_domains_retire_due",
        "Draining domains that could be retired now.",
    ),
    (
        "mxpool_routing_pending",
        "Domains whose routing a mail host has not applied yet.",
    ),
    (
        "mxpool_ds_mismatch",
        "Domains with a DS at the parent that matches none of their keys.",
    ),
    (
        "mxpool_delegation_broken",
        "Domains in use whose parent was seen not to delegate to us.",
    ),
];

/// What is shown of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolGauges {
    /// How many domains are in each state; every state is listed, also those with none.
    pub domains: Vec<(&'static str, u64)>,
    /// How many standby domains could be activated now.
    pub ready: u64,
    /// How many standby domains the operator wants to have.
    pub standby_wanted: u64,
    /// How many domains take no mail for a while.
    pub suspended: u64,
    /// How many draining domains could be retired now.
    pub retire_due: u64,
    /// Of how many domains a mail host has not applied the routing.
    pub routing_pending: u64,
    /// How many domains have a DS that matches none of their keys.
    pub ds_mismatch: u64,
    /// How many domains in use are not delegated to us.
    pub delegation_broken: u64,
    /// When the first registration ends, as far as the operator said so.
    pub registration_expiry: Option<Timestamp>,
    /// When the first signature of the pool's zones expires; absent while it has no zone.
    pub earliest_expiry: Option<Timestamp>,
}

impl PoolGauges {
    /// Returns the counts in the order of [`COUNTS`].
    fn counts(&self) -> [u64; COUNTS.len()] {
        [
            self.ready,
            self.standby_wanted,
            self.suspended,
            self.retire_due,
            self.routing_pending,
            self.ds_mismatch,
            self.delegation_broken,
        ]
    }
}

impl Metrics {
    /// Creates all metrics at zero.
    ///
    /// # Panics
    ///
    /// Never, as the tests show: names are fixed and distinct.
    pub fn new() -> Self {
        Self::try_new().expect("names are fixed, valid and distinct: a test creates them all")
    }

    /// Creates and registers all metrics.
    fn try_new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let traffic = TrafficCollector::new()?;
        registry.register(Box::new(traffic.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let build = add(
            &registry,
            IntGaugeVec::new(
                Opts::new("mxpool_build_info", "The version that runs; always 1."),
                &["version"],
            )?,
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let gauge = |name, help| add(&registry, IntGauge::new(name, help)?);
        let pool_gauge = |name, help| {
            add(
                &registry,
                IntGaugeVec::new(Opts::new(name, help), &["pool"])?,
            )
        };
        let timer = |name, help, first, count| {
            let buckets = prometheus::exponential_buckets(first, 4.0, count)?;
            Ok::<_, prometheus::Error>(HistogramOpts::new(name, help).buckets(buckets))
        };
        let domains = IntGaugeVec::new(
            Opts::new("mxpool_domains", "Domains by pool and state."),
            &["pool", "state"],
        )?;
        let expiry = GaugeVec::new(
            Opts::new(
                "mxpool_rrsig_earliest_expiry_timestamp_seconds",
                "When the first signature of the pool's zones expires; without a pool: of the \
                 operator's own zones.",
            ),
            &["pool"],
        )?;
        let registrations = GaugeVec::new(
            Opts::new(
                "mxpool_registration_expiry_timestamp_seconds",
                "When the first registration of the pool's domains ends.",
            ),
            &["pool"],
        )?;
        let certificates = GaugeVec::new(
            Opts::new(
                "mxpool_certificate_expiry_timestamp_seconds",
                "When the mail host's first certificate expires; a host inside each domain is mx1@pool.",
            ),
            &["host"],
        )?;
        let lookups = add(
            &registry,
            IntCounterVec::new(
                Opts::new(
                    "mxpool_routing_lookups_total",
                    "Look-ups of mail hosts, by what they were told.",
                ),
                &["map", "result"],
            )?,
        )?;
        Ok(Self {
            connections: ConnectionVecs::new(&registry)?,
            domains: add(&registry, domains)?,
            counts: COUNTS
                .into_iter()
                .map(|(name, help)| pool_gauge(name, help))
                .collect::<Result<_, _>>()?,
            registration_expiry: add(&registry, registrations)?,
            rrsig_earliest_expiry: add(&registry, expiry)?,
            pools: Mutex::default(),
            certificate_expiry: add(&registry, certificates)?,
            hosts: Mutex::default(),
            rotations: add(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "mxpool_rotations_total",
                        "Rotations of a pool: by its domains' age, asked for, or of burned ones.",
                    ),
                    &["pool", "cause"],
                )?,
            )?,
            changes_failed: add(
                &registry,
                IntCounter::new(
                    "mxpool_changes_failed_total",
                    "Changes that this server failed to prepare or to store.",
                )?,
            )?,
            signatures: add(
                &registry,
                IntCounter::new("mxpool_signatures_total", "DNSSEC signatures made.")?,
            )?,
            sign_duration: add(
                &registry,
                // 100 µs to 1.6 s: a small zone takes half a millisecond.
                Histogram::with_opts(timer(
                    "mxpool_sign_duration_seconds",
                    "Time to sign one zone.",
                    1e-4,
                    8,
                )?)?,
            )?,
            store_commit_duration: add(
                &registry,
                // 100 µs to 6.5 s: one fsync takes a quarter of a millisecond on a good disk.
                Histogram::with_opts(timer(
                    "mxpool_store_commit_duration_seconds",
                    "Time to make one commit durable.",
                    1e-4,
                    9,
                )?)?,
            )?,
            store_revision: gauge("mxpool_store_revision", "The last revision made durable.")?,
            published_revision: gauge("mxpool_published_revision", "The last revision served.")?,
            routing_lookups: RoutingMap::ALL
                .map(|map| {
                    RoutingResult::ALL
                        .map(|result| lookups.with_label_values(&[map.label(), result.label()]))
                        .into()
                })
                .into(),
            api_requests: add(
                &registry,
                IntCounterVec::new(
                    Opts::new("mxpool_api_requests_total", "API requests answered."),
                    &["route", "status"],
                )?,
            )?,
            api_request_duration: add(
                &registry,
                HistogramVec::new(
                    timer(
                        "mxpool_api_request_duration_seconds",
                        "Time to answer an API request.",
                        2.5e-4,
                        9,
                    )?,
                    &["route", "status"],
                )?,
            )?,
            traffic,
            registry,
        })
    }

    /// Returns a block of counters for one worker of the data plane.
    pub fn traffic(&self, transport: Transport, writers: Writers) -> Arc<Traffic> {
        self.traffic.block(transport, writers)
    }

    /// Shows `pools` and no other ones.
    pub fn set_pools<'a>(&self, pools: impl IntoIterator<Item = (&'a str, &'a PoolGauges)>) {
        let mut known = self
            .pools
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut gone = std::mem::take(&mut *known);
        for (pool, gauges) in pools {
            gone.remove(pool);
            let states = gauges.domains.iter().map(|(state, _)| *state).collect();
            known.insert(pool.to_owned(), states);
            self.show_pool(pool, gauges);
        }
        for (pool, states) in gone {
            self.hide_pool(&pool, &states);
        }
    }

    /// Shows when the first signature of the operator's own zones expires, if there are any.
    pub fn set_own_zones(&self, earliest_expiry: Option<Timestamp>) {
        self.show_expiry(OWN_ZONES, earliest_expiry);
    }

    /// Shows when the first certificate of each of these hosts expires, and of no other ones.
    pub fn set_certificates(&self, expiries: BTreeMap<String, Timestamp>) {
        let mut known = self
            .hosts
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        for gone in known.iter().filter(|host| !expiries.contains_key(*host)) {
            // A series that is gone already is what we want.
            let _ = self.certificate_expiry.remove_label_values(&[gone]);
        }
        for (host, expiry) in &expiries {
            self.certificate_expiry
                .with_label_values(&[host])
                .set(expiry.as_secs() as f64);
        }
        *known = expiries.into_keys().collect();
    }

    /// Counts a rotation.
    pub fn rotated(&self, pool: &str, cause: RotationCause) {
        let labels = [pool, cause.as_str()];
        self.rotations.with_label_values(&labels).inc();
    }

    /// Counts a change that failed through no fault of its own.
    pub fn change_failed(&self) {
        self.changes_failed.inc();
    }

    /// Counts `signatures` made for one zone in `time`.
    pub fn signed(&self, signatures: u64, time: Duration) {
        self.signatures.inc_by(signatures);
        self.sign_duration.observe(time.as_secs_f64());
    }

    /// Counts a commit that took `time`.
    pub fn committed(&self, time: Duration) {
        self.store_commit_duration.observe(time.as_secs_f64());
    }

    /// Notes that `revision` is durable.
    pub fn stored(&self, revision: u64) {
        self.store_revision.set(as_gauge(revision));
    }

    /// Notes that `revision` is served.
    pub fn published(&self, revision: u64) {
        self.published_revision.set(as_gauge(revision));
    }

    /// Counts a mail host's look-up.
    pub fn routing_lookup(&self, map: RoutingMap, result: RoutingResult) {
        self.routing_lookups[map as usize][result as usize].inc();
    }

    /// Counts an API request; `route` is the route's pattern, never the path that was asked.
    pub fn api_request(&self, route: &str, status: u16, time: Duration) {
        let status = status.to_string();
        let labels = [route, status.as_str()];
        self.api_requests.with_label_values(&labels).inc();
        self.api_request_duration
            .with_label_values(&labels)
            .observe(time.as_secs_f64());
    }

    /// Returns all metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            Ok(()) => text,
            // It cannot happen while writing to a string; a scrape must not end the process.
            Err(error) => format!("# {error}\n"),
        }
    }

    /// Sets the series of one pool.
    fn show_pool(&self, pool: &str, gauges: &PoolGauges) {
        for (state, count) in &gauges.domains {
            self.domains
                .with_label_values(&[pool, state])
                .set(as_gauge(*count));
        }
        let labels = [pool];
        for (gauge, count) in self.counts.iter().zip(gauges.counts()) {
            gauge.with_label_values(&labels).set(as_gauge(count));
        }
        match gauges.registration_expiry {
            Some(expiry) => self
                .registration_expiry
                .with_label_values(&labels)
                .set(expiry.as_secs() as f64),
            None => drop(self.registration_expiry.remove_label_values(&labels)),
        }
        self.show_expiry(pool, gauges.earliest_expiry);
    }

    /// Sets when the first signature expires.
    fn show_expiry(&self, pool: &str, expiry: Option<Timestamp>) {
        let labels = [pool];
        match expiry {
            Some(expiry) => self
                .rrsig_earliest_expiry
                .with_label_values(&labels)
                .set(expiry.as_secs() as f64),
            // Absent, not zero: zero would read as expired in 1970.
            None => drop(self.rrsig_earliest_expiry.remove_label_values(&labels)),
        }
    }

    /// Takes the series of one pool away.
    fn hide_pool(&self, pool: &str, states: &[&'static str]) {
        // A series that is gone already is what we want.
        for state in states {
            let _ = self.domains.remove_label_values(&[pool, state]);
        }
        for cause in RotationCause::ALL {
            let labels = [pool, cause.as_str()];
            let _ = self.rotations.remove_label_values(&labels);
        }
        let labels = [pool];
        for gauge in &self.counts {
            let _ = gauge.remove_label_values(&labels);
        }
        let _ = self.registration_expiry.remove_label_values(&labels);
        let _ = self.rrsig_earliest_expiry.remove_label_values(&labels);
    }
}

impl fmt::Debug for Metrics {
    /// Names the type alone: the numbers are what [`Metrics::render`] is for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers a collector and returns it.
pub(super) fn add<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Returns a count as a gauge's value; no count of ours comes near the limit.
fn as_gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::labels::{Dropped, Family};
    use super::*;
    use crate::wire::{CookieCheck, Rtype};

    #[test]
    fn what_workers_count_is_summed_in_the_text() {
        let metrics = Metrics::new();
        let workers = [
            metrics.traffic(Transport::Udp, Writers::One),
            metrics.traffic(Transport::Udp, Writers::One),
            metrics.traffic(Transport::Tcp, Writers::Many),
        ];

        for worker in &workers {
            worker.query(Family::Ipv6, Some(Rtype::MX));
            worker.response(3, 600);
            worker.answered(Duration::from_micros(3), 1);
        }
        workers[0].dropped(Dropped::Malformed, 1);
        workers[1].truncated();
        workers[1].slipped();
        workers[1].dropped(Dropped::Rrl, 3);
        workers[0].cookie(CookieCheck::Renewed);
        workers[2].cookie(CookieCheck::Renewed);
        workers[2].panicked();

        let text = metrics.render();
        for line in [
            "mxpool_dns_queries_total{transport=\"udp\",family=\"ipv6\",type=\"MX\"} 2",
            "mxpool_dns_queries_total{transport=\"tcp\",family=\"ipv6\",type=\"MX\"} 1",
            "mxpool_dns_responses_total{transport=\"udp\",rcode=\"nxdomain\"} 2",
            "mxpool_dns_response_size_bytes_bucket{transport=\"udp\",le=\"512\"} 0",
            "mxpool_dns_response_size_bytes_bucket{transport=\"udp\",le=\"768\"} 2",
            "mxpool_dns_response_size_bytes_bucket{transport=\"udp\",le=\"+Inf\"} 2",
            "mxpool_dns_response_size_bytes_sum{transport=\"udp\"} 1200",
            "mxpool_dns_request_duration_seconds_bucket{transport=\"udp\",le=\"0.000005\"} 2",
            "mxpool_dns_request_duration_seconds_sum{transport=\"tcp\"} 0.000003",
            "mxpool_dns_dropped_total{reason=\"malformed\"} 1",
            "mxpool_dns_truncated_total 1",
            "mxpool_rrl_slipped_total 1",
            "mxpool_dns_dropped_total{reason=\"rrl\"} 3",
            "mxpool_cookies_total{result=\"renewed\"} 2",
            "mxpool_cookies_total{result=\"bad\"} 0",
            "mxpool_dns_handler_panics_total 1",
            "mxpool_build_info{version=\"0.1.0\"} 1",
            "# TYPE mxpool_dns_queries_total counter",
            "# TYPE mxpool_dns_response_size_bytes histogram",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes"));
    }

    #[test]
    fn a_deleted_pool_leaves_no_series() {
        let metrics = Metrics::new();
        let gauges = PoolGauges {
            domains: vec![("standby", 2), ("active", 1)],
            ready: 2,
            standby_wanted: 5,
            retire_due: 3,
            registration_expiry: Some(Timestamp::from_secs(1_900_000_000)),
            earliest_expiry: Some(Timestamp::from_secs(1_800_000_000)),
            ..PoolGauges::default()
        };
        metrics.set_pools([("main", &gauges), ("gone", &gauges)]);

        metrics.set_pools([("main", &gauges)]);

        let text = metrics.render();
        assert!(text.contains("mxpool_domains{pool=\"main\",state=\"standby\"} 2"));
        assert!(text.contains("mxpool_domains_standby_wanted{pool=\"main\"} 5"));
        assert!(text.contains("mxpool_domains_retire_due{pool=\"main\"} 3"));
        assert!(text.contains("mxpool_domains_suspended{pool=\"main\"} 0"));
        let registered = "mxpool_registration_expiry_timestamp_seconds{pool=\"main\"} 1900000000";
        assert!(text.contains(registered), "{text}");
        assert!(
            text.contains(
                "mxpool_rrsig_earliest_expiry_timestamp_seconds{pool=\"main\"} 1800000000"
            )
        );
        assert!(!text.contains("gone"), "{text}");
    }

    #[test]
    fn the_operators_own_zones_and_hosts_expire_too() {
        let metrics = Metrics::new();
        let at = Timestamp::from_secs(1_800_000_000);
        let host = |name: &str| (name.to_owned(), at);

        metrics.set_own_zones(Some(at));
        metrics.set_certificates([host("mx1.example"), host("mx2.example")].into());
        metrics.set_certificates([host("mx1.example")].into());
        metrics.change_failed();

        let text = metrics.render();
        for line in [
            "mxpool_rrsig_earliest_expiry_timestamp_seconds{pool=\"\"} 1800000000",
            "mxpool_certificate_expiry_timestamp_seconds{host=\"mx1.example\"} 1800000000",
            "mxpool_changes_failed_total 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("mx2.example"), "{text}");

        metrics.set_own_zones(None);
        assert!(
            !metrics
                .render()
                .contains("rrsig_earliest_expiry_timestamp_seconds{")
        );
    }
}
