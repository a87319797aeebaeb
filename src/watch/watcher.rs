//! The rounds: which domains are asked about, how many at a time, and what becomes of the answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Timestamp};
use crate::lifecycle::{About, Fact, MailQuestion, Question, Subject};
use crate::wire::Apex;

use super::WatchConfig;
use super::counts::Counts;
use super::mail_hosts::MailHosts;
use super::parent::Parents;
use super::policy::Policies;
use super::published::Listed;
use super::resolver::Resolvers;
use super::round::Round;
use super::tls::{Tls, TlsError};

/// How long what is under way may take to end after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Who asks, and learns what was seen: the control plane.
pub trait Inquirer: Send + Sync + 'static {
    /// Returns those questions about a subject that are `asked` now, for some of the domains behind
    /// `after` in the order of names; the last page names no last domain.
    fn page(
        &self,
        subject: Subject,
        after: Option<&Apex>,
        asked: &dyn Fn(&Question) -> bool,
    ) -> Page;

    /// Takes what was seen. It must not wait for long.
    fn learn(&self, seen: Vec<Seen>);
}

/// The questions about some of the domains.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The questions; domains about which there is nothing to ask now have none.
    pub questions: Vec<Question>,
    /// The last domain that was looked at, where others follow.
    pub last: Option<Apex>,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The domain.
    pub name: Apex,
    /// What was seen.
    pub fact: Fact,
    /// When.
    pub at: Timestamp,
}

/// The outside, not yet watched.
pub struct Watcher;

/// The outside is watched until [`Watching::stop`].
pub struct Watching {
    /// Tells the rounds to end.
    stop: watch::Sender<bool>,
    /// The rounds.
    rounds: Vec<JoinHandle<()>>,
}

/// All that questions are answered with.
struct Senses {
    /// Tells the time.
    clock: Arc<dyn Clock>,
    /// The parents' servers.
    parents: Parents,
    /// The listed servers.
    listed: Listed,
    /// The mail hosts; `None` where they are not to be connected to.
    mail_hosts: Option<MailHosts>,
    /// The policy hosts.
    policies: Policies,
    /// The listed servers' counts.
    counts: Counts,
}

impl Watcher {
    /// Watches the outside; called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the authorities that are to be trusted are none.
    pub fn start(
        config: &WatchConfig,
        inquirer: Arc<dyn Inquirer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Watching, TlsError> {
        let senses = Arc::new(Senses::new(config, clock.clone())?);
        let (stop, stopped) = watch::channel(false);
        let rounds = Subject::ALL.map(|subject| {
            let rounds = Rounds {
                subject,
                interval: config.interval.as_duration(),
                places: Arc::new(Semaphore::new(config.limits.concurrency.max(1))),
                inquirer: inquirer.clone(),
                senses: senses.clone(),
                looks: JoinSet::new(),
            };
            tokio::spawn(rounds.run(clock.clone(), stopped.clone()))
        });
        Ok(Watching {
            stop,
            rounds: rounds.into(),
        })
    }
}

impl Watching {
    /// Ends the rounds; what is under way is left after a few seconds.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for mut round in self.rounds {
            if timeout(DRAIN, &mut round).await.is_err() {
                round.abort();
            }
        }
    }
}

impl Senses {
    /// Makes everything ready.
    fn new(config: &WatchConfig, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let patience = config.limits.dns_timeout;
        let resolvers = Arc::new(Resolvers::new(config.resolvers.clone(), patience));
        let tls = Arc::new(Tls::new(&config.trust, clock.clone())?);
        let mail_hosts = MailHosts::new(config, resolvers.clone(), tls.clone());
        Ok(Self {
            parents: Parents::new(config, resolvers.clone(), clock.clone()),
            listed: Listed::new(config, resolvers),
            mail_hosts: config.smtp_probe.then_some(mail_hosts),
            policies: Policies::new(config, tls.clone()),
            counts: Counts::new(config, tls, clock.clone()),
            clock,
        })
    }

    /// Answers a question about anything but mail.
    async fn look(&self, question: &Question) -> Vec<Fact> {
        let apex = &question.name;
        match &question.about {
            About::Parent(wanted) => self.parents.look(question, wanted).await,
            About::Published(wanted) => self.listed.look(apex, wanted).await,
            About::Policy(wanted) => self.policies.look(apex, wanted).await,
            About::Queries { name_servers } => self.counts.look(apex, name_servers).await,
            About::Mail(wanted) => {
                let facts = self.look_at_mail(&[(apex.clone(), wanted.clone())]).await;
                facts.into_iter().flat_map(|(_, facts)| facts).collect()
            }
        }
    }

    /// Answers questions about mail together.
    async fn look_at_mail(&self, questions: &[(Apex, MailQuestion)]) -> Vec<(Apex, Vec<Fact>)> {
        match &self.mail_hosts {
            Some(hosts) => hosts.look(questions).await,
            None => Vec::new(),
        }
    }
}

/// Goes over all domains for one subject, round after round.
///
/// What waits is bounded: a page is asked for when the one before has been handed to looks, of
/// which there are as many as there are places.
struct Rounds {
    /// What is asked about.
    subject: Subject,
    /// How long a round takes at least.
    interval: Duration,
    /// The places of looks that are under way.
    places: Arc<Semaphore>,
    /// Who asks.
    inquirer: Arc<dyn Inquirer>,
    /// What answers.
    senses: Arc<Senses>,
    /// The looks that are under way.
    looks: JoinSet<()>,
}

impl Rounds {
    /// Goes round until `stop` turns true; what is under way ends then.
    async fn run(mut self, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
        let go = async {
            let mut round = Round::first(clock.now());
            loop {
                let began = clock.monotonic();
                let pages = self.go_round(round).await;
                let took = clock.monotonic().saturating_sub(began);
                sleep(self.interval.saturating_sub(took)).await;
                round = round.next(clock.now(), self.interval, pages);
            }
        };
        tokio::select! {
            () = go => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // Whatever is under way is of no use any more.
        self.looks.shutdown().await;
    }

    /// Goes over all domains once; returns how many pages they had.
    async fn go_round(&mut self, round: Round) -> usize {
        let mut after = None;
        let mut pages = 0;
        loop {
            let asked = |question: &Question| round.asks(question);
            let page = self.inquirer.page(self.subject, after.as_ref(), &asked);
            pages += 1;
            self.ask(page.questions).await;
            match page.last {
                // A page that does not go on would go round for ever.
                Some(last) if Some(&last) > after.as_ref() => after = Some(last),
                Some(_) | None => return pages,
            }
            sleep(round.pause).await;
        }
    }

    /// Hands questions to looks, as places become free.
    async fn ask(&mut self, questions: Vec<Question>) {
        if self.subject == Subject::Mail {
            // One visit serves all domains of a page that share a host.
            let questions: Vec<(Apex, MailQuestion)> = questions
                .into_iter()
                .filter_map(|question| match question.about {
                    About::Mail(wanted) => Some((question.name, wanted)),
                    _ => None,
                })
                .collect();
            if questions.is_empty() {
                return;
            }
            let facts = self.senses.look_at_mail(&questions).await;
            let at = self.senses.clock.now();
            let seen = facts.into_iter().flat_map(|(name, facts)| {
                let seen = facts.into_iter();
                seen.map(move |fact| Seen {
                    name: name.clone(),
                    fact,
                    at,
                })
            });
            learn(self.inquirer.as_ref(), seen.collect());
            return;
        }
        for question in questions {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            while self.looks.try_join_next().is_some() {}
            let (senses, inquirer) = (self.senses.clone(), self.inquirer.clone());
            self.looks.spawn(async move {
                let facts = senses.look(&question).await;
                let at = senses.clock.now();
                let seen = facts.into_iter().map(|fact| Seen {
                    name: question.name.clone(),
                    fact,
                    at,
                });
                learn(inquirer.as_ref(), seen.collect());
                drop(place);
            });
        }
    }
}

/// Hands on what was seen, if anything was.
fn learn(inquirer: &dyn Inquirer, seen: Vec<Seen>) {
    if !seen.is_empty() {
        inquirer.learn(seen);
    }
}
