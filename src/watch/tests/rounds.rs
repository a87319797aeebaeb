//! The rounds as a whole: pages, urgency, facts, the end.

use std::sync::Mutex;

use tokio::sync::mpsc;

use super::name_server::{NameServers, Say};
use super::*;
use crate::lifecycle::{About, Fact, PublishedQuestion, Question, Subject, Urgency};
use crate::wire::{Rtype, Section, Serial};

/// Somebody who asks about the serials of domains, two on a page.
struct Asker {
    /// The domains and how urgent they are.
    domains: Vec<(Apex, Urgency)>,
    /// The pages that were asked for.
    pages: Mutex<Vec<Option<Apex>>>,
    /// Takes what is seen.
    seen: mpsc::UnboundedSender<Seen>,
}

impl Inquirer for Asker {
    fn page(
        &self,
        subject: Subject,
        after: Option<&Apex>,
        asked: &dyn Fn(&Question) -> bool,
    ) -> Page {
        if subject != Subject::Published {
            return Page::default();
        }
        self.pages.lock().unwrap().push(after.cloned());
        let behind = self.domains.iter();
        let mut behind = behind.filter(|(name, _)| after.is_none_or(|after| name > after));
        let page: Vec<_> = behind.by_ref().take(2).collect();
        let last = page.last().map(|(name, _)| name.clone());
        let more = behind.next().is_some();
        Page {
            questions: page
                .into_iter()
                .map(|(name, urgency)| Question {
                    name: name.clone(),
                    urgency: *urgency,
                    about: About::Published(PublishedQuestion {
                        name_servers: vec![super::name("ns1.infra.example")],
                        serial: Serial::new(9),
                    }),
                })
                .filter(asked)
                .collect(),
            last: last.filter(|_| more),
        }
    }

    fn learn(&self, seen: Vec<Seen>) {
        for seen in seen {
            let _ = self.seen.send(seen);
        }
    }
}

#[tokio::test]
async fn k29_a_round_asks_about_what_waits_on_every_page_and_ends_when_told() {
    let script = |qname: &Name, qtype: Rtype, _: u16| match qtype {
        Rtype::SOA => Say::own().soa(Section::Answer, qname, 60, [9, 1, 1]),
        _ => Say::nothing(),
    };
    let servers = NameServers::start(vec![(1, Box::new(script))]).await;
    let mut config = config(servers.at(1));
    config.servers = vec![ListedServer {
        name: name("ns1.infra.example"),
        probe: vec![servers.at(1)],
        counts: None,
    }];
    let (sender, mut seen) = mpsc::unbounded_channel();
    let asker = Arc::new(Asker {
        domains: [
            "a.example",
            "b.example",
            "c.example",
            "d.example",
            "e.example",
        ]
        .into_iter()
        .zip([Urgency::Waiting, Urgency::Standing].into_iter().cycle())
        .map(|(name, urgency)| (apex(name), urgency))
        .collect(),
        pages: Mutex::default(),
        seen: sender,
    });

    let watching = Watcher::start(&config, asker.clone(), standing()).unwrap();
    let mut names = Vec::new();
    for _ in 0..3 {
        let seen = seen.recv().await.unwrap();
        assert_eq!((seen.fact, seen.at), (Fact::Published(Serial::new(9)), NOW));
        names.push(seen.name);
    }
    watching.stop().await;

    names.sort();
    assert_eq!(names, ["a.example", "c.example", "e.example"].map(apex));
    let pages = asker.pages.lock().unwrap();
    let wanted = [None, Some(apex("b.example")), Some(apex("d.example"))];
    assert_eq!(*pages, wanted);
    // What was not waited for was not asked in the first round.
    assert_eq!(servers.times(1), 3);
}

#[tokio::test]
async fn authorities_that_are_none_are_told_at_the_start() {
    let mut config = config(SocketAddr::new(local(1), 1));
    config.trust = Trust::Only(vec![vec![1, 2, 3].into()]);
    let (seen, _) = mpsc::unbounded_channel();
    let asker = Asker {
        domains: Vec::new(),
        pages: Mutex::default(),
        seen,
    };

    let started = Watcher::start(&config, Arc::new(asker), standing());

    assert!(started.is_err());
}
