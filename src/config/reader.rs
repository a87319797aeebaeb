//! Settings out of entries, part by part, and what is wrong with each.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::routing::RoutingConfig;
use crate::server::ServerConfig;

use super::entries::{Entries, Entry};
use super::folder::usable;
use super::listeners;
use super::problem::{Place, Problem};
use super::settings::Config;
use super::values::{address, folder, list, loopback, number, parsed, routing_listen};

/// Turns entries into settings and gathers what is wrong.
pub(super) struct Reader<'a> {
    /// What was found.
    pub(super) entries: Entries,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What a node already runs with, if it reads its configuration again: whatever is wrong stays
    /// as it is there, and files that it reads again by itself are not looked into here.
    pub(super) running: Option<&'a Config>,
}

impl Reader<'_> {
    /// Reads all settings over `config`; where one is wrong, a problem is noted and it stays.
    pub(super) fn config(&mut self, mut config: Config) -> Config {
        let defaults = config.server;
        config.server = ServerConfig {
            listen: self.part(
                |running| &running.server.listen,
                |it| it.addresses_at("dns", "listen").unwrap_or(defaults.listen),
            ),
            udp_workers: self.part(
                |running| &running.server.udp_workers,
                |it| {
                    it.get("dns", "udp_workers", number)
                        .unwrap_or(defaults.udp_workers)
                },
            ),
            cores: self.part(
                |running| &running.server.cores,
                |it| it.cores().unwrap_or(defaults.cores),
            ),
            tcp: self.part(|running| &running.server.tcp, Self::tcp),
            identity: self.part(|running| &running.server.identity, Self::identity),
            rrl: self.part(|running| &running.server.rrl, Self::rrl),
            cookie_secrets: self.part(
                |running| &running.server.cookie_secrets,
                Self::cookie_secrets,
            ),
            tls: self.part(|running| &running.server.tls, Self::tls),
        };
        config.api = self.part(
            |running| &running.api,
            |it| it.get("api", "listen", loopback).unwrap_or(config.api),
        );
        config.metrics = self.part(
            |running| &running.metrics,
            |it| it.get("metrics", "listen", address),
        );
        config.routing = self.part(
            |running| &running.routing,
            |it| {
                it.get("routing", "listen", routing_listen)
                    .map(RoutingConfig::from)
            },
        );
        let conflicts = listeners::conflicts(&config, |(section, key)| {
            let entry = self.entries.get(section, key)?;
            Some(entry.place.clone())
        });
        if let Some(running) = self.running
            && !conflicts.is_empty()
        {
            listeners::keep(&mut config, running);
        }
        self.problems.extend(conflicts);
        config.store = self.part(
            |running| &running.store,
            |it| it.folder_at("store", config.store),
        );
        config.keys = self.part(
            |running| &running.keys,
            |it| it.folder_at("keys", config.keys),
        );
        config.watch = self.part(|running| &running.watch, Self::watch);
        config.log.level = self.part(
            |running| &running.log.level,
            |it| it.get("log", "level", parsed).unwrap_or(config.log.level),
        );
        config.log.format = self.part(
            |running| &running.log.format,
            |it| it.get("log", "format", parsed).unwrap_or(config.log.format),
        );
        config
    }

    /// Reads one part of the configuration; if anything is wrong with it while a node runs, it stays
    /// what it is there.
    fn part<T: Clone>(
        &mut self,
        of: impl Fn(&Config) -> &T,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let known = self.problems.len();
        let found = read(self);
        match self.running {
            Some(running) if self.problems.len() > known => of(running).clone(),
            _ => found,
        }
    }

    /// Reads one part again, by itself; nothing if anything is wrong with it, which has been noted.
    pub(super) fn unless_wrong<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let known = self.problems.len();
        let found = read(self);
        let is_right = self.problems.len() == known;
        self.problems.truncate(known);
        is_right.then_some(found)
    }

    /// Reads the path of a folder that is there or can be made; without the setting `default`.
    fn folder_at(&mut self, section: &'static str, default: PathBuf) -> PathBuf {
        if self.entries.get(section, "path").is_some() {
            return self.get(section, "path", folder).unwrap_or(default);
        }
        if let Err(detail) = usable(&default) {
            let setting = format!("{section}.path");
            let place = Place::Default { setting };
            self.problems.push(Problem { place, detail });
        }
        default
    }

    /// Reads one setting; a problem is noted at its place.
    pub(super) fn get<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        read: impl Fn(&Entry) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.entries.get(section, key)?;
        match read(entry) {
            Ok(value) => Some(value),
            Err(detail) => {
                let place = entry.place.clone();
                let detail = format!("{section}.{key}: {detail}");
                self.problems.push(Problem { place, detail });
                None
            }
        }
    }

    /// Reads a list of addresses: at least one, none twice.
    fn addresses_at(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<Vec<SocketAddr>> {
        let items = self.get(section, key, list)?;
        Some(self.addresses_of(section, key, items))
    }

    /// Reads the items of a list of addresses, none twice; each wrong one is a problem at its place.
    pub(super) fn addresses_of(
        &mut self,
        section: &'static str,
        key: &'static str,
        items: Vec<Entry>,
    ) -> Vec<SocketAddr> {
        self.each(section, key, items, |item, known| {
            let found = address(item)?;
            // Port 0 is another free port each time.
            if found.port() != 0 && known.contains(&found) {
                return Err(format!("expected each address once, found {found} again"));
            }
            Ok(found)
        })
    }

    /// Reads the items of a list, each with those before it; each wrong one is a problem at its place.
    pub(super) fn each<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        items: Vec<Entry>,
        read: impl Fn(&Entry, &[T]) -> Result<T, String>,
    ) -> Vec<T> {
        let mut known = Vec::new();
        for item in items {
            match read(&item, &known) {
                Ok(found) => known.push(found),
                Err(detail) => self.problems.push(Problem {
                    place: item.place,
                    detail: format!("{section}.{key}: {detail}"),
                }),
            }
        }
        known
    }
}
