//! Counters of the data plane, and their sum at a scrape.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::wire::{CookieCheck, Rtype, Transport};

use super::labels::{
    COOKIES, Dropped, Family, QTYPE_SLOTS, RCODES, cookie_label, qtype_label, qtype_slot,
    rcode_slot, transport_label,
};

/// Upper bounds of answer sizes in octets: the classic limit, ours (1232), and TCP's sizes.
const SIZES: [u64; 9] = [64, 128, 256, 512, 768, 1_232, 4_096, 16_384, 65_535];

/// Upper bounds of the time an answer took, in nanoseconds: 1 µs to 10 ms.
const TIMES: [u64; 10] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000,
];

/// What one worker of the data plane counts.
///
/// One cache-resident block a worker; its counters are added to with relaxed atomics that nobody
/// contends for, and read only by a scrape. A block outlives its worker, so that totals never
/// shrink.
#[derive(Debug)]
pub struct Traffic {
    /// How the worker's queries come in.
    transport: Transport,
    /// Who adds to the counters.
    writers: Writers,
    /// Queries by address family and question type.
    queries: [[AtomicU64; QTYPE_SLOTS]; Family::ALL.len()],
    /// Responses by code.
    responses: [AtomicU64; RCODES.len()],
    /// Sizes of responses.
    sizes: Buckets<{ SIZES.len() }>,
    /// Times from a query's arrival in our hands to its answer; over UDP those of its batch.
    times: Buckets<{ TIMES.len() }>,
    /// What got no answer, by reason.
    dropped: [AtomicU64; Dropped::ALL.len()],
    /// Answers with TC set.
    truncated: AtomicU64,
    /// Answers that were made brief, or let through as they are errors, as they were beyond their
    /// rate.
    slipped: AtomicU64,
    /// Cookies of queries, by what they were worth.
    cookies: [AtomicU64; COOKIES.len()],
    /// Panics caught while answering.
    panics: AtomicU64,
}

/// Who adds to a block of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// One thread: to add is to load and to store, which costs a tenth of an atomic addition. Of
    /// what a second thread would add, some would be lost.
    One,
    /// Several threads, as tasks wander from one to the other.
    Many,
}

/// A histogram's counters: one a bucket, one beyond the last, and the sum.
#[derive(Debug)]
struct Buckets<const N: usize> {
    /// Observations in each bucket alone, not cumulated.
    counts: [AtomicU64; N],
    /// Observations beyond the last bound.
    beyond: AtomicU64,
    /// Sum of all observations.
    sum: AtomicU64,
}

impl Traffic {
    /// Creates a block of zeros.
    fn new(transport: Transport, writers: Writers) -> Self {
        Self {
            transport,
            writers,
            queries: array::from_fn(|_| zeros()),
            responses: zeros(),
            sizes: Buckets::new(),
            times: Buckets::new(),
            dropped: zeros(),
            truncated: AtomicU64::new(0),
            slipped: AtomicU64::new(0),
            cookies: zeros(),
            panics: AtomicU64::new(0),
        }
    }

    /// Counts a query; `qtype` is absent where no question could be read.
    pub fn query(&self, family: Family, qtype: Option<Rtype>) {
        let counter = &self.queries[family as usize][qtype_slot(qtype)];
        self.writers.add(counter, 1);
    }

    /// Counts an answer of `size` octets with `rcode` (extended, 12 bits).
    pub fn response(&self, rcode: u16, size: usize) {
        self.writers.add(&self.responses[rcode_slot(rcode)], 1);
        self.sizes.observe(self.writers, &SIZES, size as u64, 1);
    }

    /// Counts that so many answers were there `time` after their queries had been read.
    pub fn answered(&self, time: Duration, count: u64) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.times.observe(self.writers, &TIMES, time, count);
    }

    /// Counts an answer that had TC set.
    pub fn truncated(&self) {
        self.writers.add(&self.truncated, 1);
    }

    /// Counts an answer beyond its rate that was not dropped.
    pub fn slipped(&self) {
        self.writers.add(&self.slipped, 1);
    }

    /// Counts the cookie of a query.
    pub fn cookie(&self, check: CookieCheck) {
        self.writers.add(&self.cookies[check as usize], 1);
    }

    /// Counts things that got no answer.
    pub fn dropped(&self, reason: Dropped, count: u64) {
        self.writers.add(&self.dropped[reason as usize], count);
    }

    /// Counts a panic that was caught while answering.
    pub fn panicked(&self) {
        self.writers.add(&self.panics, 1);
    }
}

impl Writers {
    /// Adds to a counter.
    fn add(self, counter: &AtomicU64, value: u64) {
        match self {
            Self::One => {
                let sum = counter.load(Ordering::Relaxed).wrapping_add(value);
                counter.store(sum, Ordering::Relaxed);
            }
            Self::Many => {
                counter.fetch_add(value, Ordering::Relaxed);
            }
        }
    }
}

impl<const N: usize> Buckets<N> {
    /// Creates empty buckets.
    fn new() -> Self {
        Self {
            counts: zeros(),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts `count` observations of `value`.
    fn observe(&self, writers: Writers, bounds: &[u64; N], value: u64, count: u64) {
        // Without a branch, which of a mix of sizes could not be foretold.
        let bucket: usize = bounds.iter().map(|bound| usize::from(*bound < value)).sum();
        writers.add(self.counts.get(bucket).unwrap_or(&self.beyond), count);
        writers.add(&self.sum, value.saturating_mul(count));
    }
}

/// Returns counters that stand at zero.
fn zeros<const N: usize>() -> [AtomicU64; N] {
    array::from_fn(|_| AtomicU64::new(0))
}

/// Sums the blocks of all workers when a scrape asks.
#[derive(Clone)]
pub(super) struct TrafficCollector {
    /// The blocks given out so far; taken only to add one and to scrape.
    blocks: Arc<Mutex<Vec<Arc<Traffic>>>>,
    /// Names and help of what is collected.
    families: Arc<[Desc; 9]>,
}

impl TrafficCollector {
    /// Creates a collector without blocks.
    ///
    /// # Errors
    ///
    /// Only for names that Prometheus would not take.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let desc = |name: &str, help: &str, labels: &[&str]| {
            Desc::new(
                name.to_owned(),
                help.to_owned(),
                labels.iter().map(|label| (*label).to_owned()).collect(),
                Default::default(),
            )
        };
        let families = [
            desc(
                "mxpool_dns_queries_total",
                "DNS queries received.",
                &["transport", "family", "type"],
            )?,
            desc(
                "mxpool_dns_responses_total",
                "DNS responses made.",
                &["transport", "rcode"],
            )?,
            desc(
                "mxpool_dns_response_size_bytes",
                "Size of DNS responses.",
                &["transport"],
            )?,
            desc(
                "mxpool_dns_request_duration_seconds",
                "Time from reading a query, or the batch of datagrams it came in, to having its answer, or those of the batch.",
                &["transport"],
            )?,
            desc(
                "mxpool_dns_dropped_total",
                "Datagrams, messages and connections that got no answer.",
                &["reason"],
            )?,
            desc(
                "mxpool_dns_truncated_total",
                "DNS responses with TC set.",
                &[],
            )?,
            desc(
                "mxpool_rrl_slipped_total",
                "DNS responses beyond their rate that were sent, made brief where they could be.",
                &[],
            )?,
            desc(
                "mxpool_cookies_total",
                "Cookies of DNS queries, by what they were worth.",
                &["result"],
            )?,
            desc(
                "mxpool_dns_handler_panics_total",
                "Panics caught while answering a query; each is a bug.",
                &[],
            )?,
        ];
        Ok(Self {
            blocks: Arc::default(),
            families: Arc::new(families),
        })
    }

    /// Returns a new block that scrapes will sum from now on.
    pub(super) fn block(&self, transport: Transport, writers: Writers) -> Arc<Traffic> {
        let block = Arc::new(Traffic::new(transport, writers));
        self.blocks().push(block.clone());
        block
    }

    /// Returns the blocks; a panic while they were held left them whole.
    fn blocks(&self) -> MutexGuard<'_, Vec<Arc<Traffic>>> {
        self.blocks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Returns the counters of queries; a type that nobody has asked for is left out.
    fn queries(&self, blocks: &[Arc<Traffic>]) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for transport in Transport::ALL {
            for family in Family::ALL {
                for slot in 0..QTYPE_SLOTS {
                    let count = sum(blocks, Some(transport), |block| {
                        &block.queries[family as usize][slot]
                    });
                    if count > 0 {
                        let labels = [
                            ("transport", transport_label(transport).to_owned()),
                            ("family", family.label().to_owned()),
                            ("type", qtype_label(slot)),
                        ];
                        metrics.push(counter(labels, count));
                    }
                }
            }
        }
        metrics
    }

    /// Returns the counters of responses.
    fn responses(&self, blocks: &[Arc<Traffic>]) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for transport in transports(blocks) {
            for (slot, (_, rcode)) in RCODES.iter().enumerate() {
                let count = sum(blocks, Some(transport), |block| &block.responses[slot]);
                let labels = [
                    ("transport", transport_label(transport).to_owned()),
                    ("rcode", (*rcode).to_owned()),
                ];
                metrics.push(counter(labels, count));
            }
        }
        metrics
    }
}

impl Collector for TrafficCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let blocks = self.blocks().clone();
        let dropped = Dropped::ALL.map(|reason| {
            let count = sum(&blocks, None, |block| &block.dropped[reason as usize]);
            counter([("reason", reason.label().to_owned())], count)
        });
        let cookies = COOKIES.map(|check| {
            let count = sum(&blocks, None, |block| &block.cookies[check as usize]);
            counter([("result", cookie_label(check).to_owned())], count)
        });
        let samples = [
            self.queries(&blocks),
            self.responses(&blocks),
            histograms(&blocks, &SIZES, 1.0, |block| &block.sizes),
            histograms(&blocks, &TIMES, 1e9, |block| &block.times),
            dropped.into(),
            vec![counter([], sum(&blocks, None, |block| &block.truncated))],
            vec![counter([], sum(&blocks, None, |block| &block.slipped))],
            cookies.into(),
            vec![counter([], sum(&blocks, None, |block| &block.panics))],
        ];
        self.families
            .iter()
            .zip(samples)
            .map(|(desc, metrics)| family(desc, metrics))
            .collect()
    }
}

/// Returns the transports that there are workers for.
fn transports(blocks: &[Arc<Traffic>]) -> impl Iterator<Item = Transport> {
    let has_worker = |transport| blocks.iter().any(|block| block.transport == transport);
    let all = Transport::ALL.into_iter();
    all.filter(move |transport| has_worker(*transport))
}

/// Returns the sum of one counter over the blocks, of one transport or of all.
fn sum(
    blocks: &[Arc<Traffic>],
    transport: Option<Transport>,
    counter: impl Fn(&Traffic) -> &AtomicU64,
) -> u64 {
    blocks
        .iter()
        .filter(|block| transport.is_none_or(|transport| block.transport == transport))
        .map(|block| counter(block).load(Ordering::Relaxed))
        .sum()
}

/// Returns a histogram a transport; `unit` is how many of our units make one of Prometheus'.
fn histograms<const N: usize>(
    blocks: &[Arc<Traffic>],
    bounds: &[u64; N],
    unit: f64,
    buckets: impl Fn(&Traffic) -> &Buckets<N>,
) -> Vec<Metric> {
    transports(blocks)
        .map(|transport| {
            let total = |counter: &dyn Fn(&Buckets<N>) -> &AtomicU64| {
                blocks
                    .iter()
                    .filter(|block| block.transport == transport)
                    .map(|block| counter(buckets(block)).load(Ordering::Relaxed))
                    .sum::<u64>()
            };
            let mut cumulated = 0;
            let mut out = Vec::with_capacity(N);
            for (slot, bound) in bounds.iter().enumerate() {
                cumulated += total(&|buckets| &buckets.counts[slot]);
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound as f64 / unit);
                bucket.set_cumulative_count(cumulated);
                out.push(bucket);
            }
            let mut histogram = Histogram::default();
            histogram.set_bucket(out);
            histogram.set_sample_count(cumulated + total(&|buckets| &buckets.beyond));
            histogram.set_sample_sum(total(&|buckets| &buckets.sum) as f64 / unit);
            let mut metric = Metric::from_label(vec![label(
                "transport",
                transport_label(transport).to_owned(),
            )]);
            metric.set_histogram(histogram);
            metric
        })
        .collect()
}

/// Returns one counter's sample.
fn counter<const N: usize>(labels: [(&str, String); N], count: u64) -> Metric {
    let pairs = labels.map(|(name, value)| label(name, value));
    let mut metric = Metric::from_label(pairs.into());
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    metric.set_counter(counter);
    metric
}

/// Returns one label of a sample.
fn label(name: &str, value: String) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

/// Returns a family with its samples; a name that ends in `_total` is a counter's.
fn family(desc: &Desc, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(if desc.fq_name.ends_with("_total") {
        MetricType::COUNTER
    } else {
        MetricType::HISTOGRAM
    });
    family.set_metric(metrics);
    family
}
