//! The way of a name through its zone, aliases included.

use std::ops::Deref;

use super::write::{Current, Owner, Writer};
use crate::wire::{DoesNotFit, HEADER_LENGTH, NameBuffer, Rcode, Rtype, Section};
use crate::zone::Role;
use crate::zone::layout::{Denial, Descent, Layout, Need, NodeId, NsecChain, RdataName, RrsetId};

/// How many aliases are followed for one question.
///
/// Resolvers give up at about that many; who has more asks on with the last name.
const MAX_CHAIN: usize = 16;

/// Follows a name through its zone and writes the answer section on the way.
pub(super) struct Resolver<'w, 'q, 'b, 'm, 'z> {
    /// What writes.
    writer: &'w mut Writer<'b, 'm, 'z>,
    /// The type asked for.
    qtype: Rtype,
    /// The name that is looked for: at first the question's.
    name: Sought<'q>,
    /// How many of its labels are in front of the apex.
    relative: usize,
    /// Where in the reply it stands.
    at: usize,
    /// Where its way ends, if that is known.
    descent: Option<Descent>,
    /// The aliases that were followed.
    chain: Chain,
    /// The NSEC records that the answer needs.
    proofs: Proofs,
    /// Whether a wildcard stood for a name, or a DNAME renamed one.
    is_synthesised: bool,
}

/// The name that is looked for.
#[expect(
    clippy::large_enum_variant,
    reason = "the small one is what almost every query needs, and nothing is copied for it"
)]
enum Sought<'q> {
    /// The question's.
    Question(&'q NameBuffer),
    /// What an alias leads to.
    Target(NameBuffer),
}

/// How a question came out, its answer section written.
pub(super) struct Outcome {
    /// The code, which speaks of the last name of a chain (RFC 6604, section 3).
    pub(super) rcode: Rcode,
    /// What the authority section says.
    pub(super) authority: Authority,
    /// Whether a wildcard stood for a name, or a DNAME renamed one.
    pub(super) is_synthesised: bool,
    /// The NSEC records that prove it.
    proofs: Proofs,
    /// The answer's RRset, if it names hosts whose addresses can go along.
    names_hosts: Option<RrsetId>,
}

/// What the authority section says.
#[derive(Clone, Copy)]
pub(super) enum Authority {
    /// Nothing but proofs: the answer says all.
    Nothing,
    /// That there is no such name or no such data.
    Negative,
    /// Who knows more: the name servers of a delegation.
    Referral(NodeId),
}

/// The names that were looked for, with the DNAME records that were written.
struct Chain {
    /// Where in the reply each name stands, and which DNAME led on from it.
    links: [(usize, Option<NodeId>); MAX_CHAIN],
    /// How many there are.
    length: usize,
}

/// NSEC records, each once, in the order in which they were needed.
struct Proofs {
    /// Their numbers.
    links: [u32; MAX_CHAIN + 4],
    /// How many there are.
    length: usize,
}

/// What comes after a name.
enum Step {
    /// Nothing: the answer is found.
    Done(Rcode, Authority),
    /// The target of an alias, which is the current name now.
    Next,
}

impl<'w, 'q, 'b, 'm, 'z> Resolver<'w, 'q, 'b, 'm, 'z> {
    /// Begins with the name of the question.
    pub(super) fn new(
        writer: &'w mut Writer<'b, 'm, 'z>,
        qname: &'q NameBuffer,
        qtype: Rtype,
        descent: Option<Descent>,
    ) -> Self {
        let relative = qname.labels_before(writer.zone().apex_wire());
        Self {
            writer,
            qtype,
            relative: relative.unwrap_or(0),
            name: Sought::Question(qname),
            at: HEADER_LENGTH,
            descent,
            chain: Chain {
                links: [(0, None); MAX_CHAIN],
                length: 0,
            },
            proofs: Proofs {
                links: [0; MAX_CHAIN + 4],
                length: 0,
            },
            is_synthesised: false,
        }
    }

    /// Follows the name, and the aliases it leads to, to the end.
    ///
    /// # Errors
    ///
    /// When the answer section does not fit.
    pub(super) fn resolve(mut self) -> Result<Outcome, DoesNotFit> {
        let mut names_hosts = None;
        loop {
            if let Step::Done(rcode, authority) = self.step(&mut names_hosts)? {
                return Ok(Outcome {
                    rcode,
                    authority,
                    is_synthesised: self.is_synthesised,
                    proofs: self.proofs,
                    names_hosts,
                });
            }
        }
    }

    /// Looks for the current name.
    fn step(&mut self, names_hosts: &mut Option<RrsetId>) -> Result<Step, DoesNotFit> {
        let layout = self.writer.layout();
        let known = self.descent.take();
        let descend = || {
            let labels = (0..self.relative).rev();
            layout.descend(labels.map(|index| self.name.label(index)))
        };
        debug_assert!(known.is_none_or(|known| known == descend()));
        let descent = known.unwrap_or_else(descend);
        if self.at == HEADER_LENGTH {
            let mut last = descent.last();
            if let Descent::Delegation(node) = descent {
                // Who asks for a name server's address gets the server's name back.
                let depth = usize::from(layout.node(node).depth);
                let below = (0..self.relative - depth).rev();
                last = layout.follow(node, below.map(|index| self.name.label(index)));
            }
            self.writer.note_question(&self.name, self.relative, last);
        }
        match descent {
            Descent::Exact(node) => self.at_node(node, names_hosts),
            Descent::Delegation(node) => self.at_delegation(node),
            Descent::Dname(node) => self.at_dname(node),
            Descent::Missing { encloser, previous } => {
                // The name is not there, whatever a wildcard makes of it (RFC 4035, sections
                // 3.1.3.2 to 3.1.3.4).
                self.prove(|chain| chain.gap(encloser, previous));
                match layout.node(encloser).wildcard {
                    // There is exactly one source of synthesis (RFC 4592, section 3.3.1).
                    Some(wildcard) => {
                        self.is_synthesised = true;
                        self.at_node(wildcard, names_hosts)
                    }
                    None => {
                        self.prove(|chain| chain.no_wildcard(encloser));
                        Ok(Step::Done(Rcode::NXDOMAIN, Authority::Negative))
                    }
                }
            }
        }
    }

    /// Answers with what stands at a name of the zone: the current one, or the wildcard that
    /// stands for it.
    fn at_node(
        &mut self,
        node: NodeId,
        names_hosts: &mut Option<RrsetId>,
    ) -> Result<Step, DoesNotFit> {
        let layout = self.writer.layout();
        if layout.node(node).role != Role::Authoritative {
            return Ok(self.no_data(node));
        }
        const FOUND: Step = Step::Done(Rcode::NOERROR, Authority::Nothing);
        let smallest = layout.node(node).smallest;
        match (self.qtype, smallest) {
            // One RRset is answer enough, over every transport (RFC 8482, section 4.1).
            (Rtype::ANY, Some(rrset)) => {
                self.write_once(node, rrset)?;
                return Ok(FOUND);
            }
            // The same for signatures (RFC 8482, section 7).
            (Rtype::RRSIG, Some(rrset)) if self.writer.zone().key_count() > 0 => {
                if !(self.writer.with_dnssec() && self.is_written(node, rrset)) {
                    let owner = owner(&self.name, self.relative, self.at);
                    self.writer.signatures_over(Section::Answer, owner, rrset)?;
                }
                return Ok(FOUND);
            }
            (Rtype::NSEC, _) => {
                if let Some(link) = chain(layout).and_then(|chain| chain.owned_by(node)) {
                    let owner = owner(&self.name, self.relative, self.at);
                    self.writer.nsec(Section::Answer, owner, link)?;
                    return Ok(FOUND);
                }
            }
            _ => {}
        }
        if let Some(rrset) = layout.find(node, self.qtype) {
            self.write_once(node, rrset)?;
            *names_hosts = Some(rrset);
            return Ok(FOUND);
        }
        if let Some(rrset) = layout.find(node, Rtype::CNAME) {
            let target_at = self.write(rrset)?;
            let mut target = NameBuffer::root();
            let whole = self.read_target(rrset, &mut target);
            debug_assert!(whole.is_some(), "a CNAME's data is a name");
            return Ok(self.follow(target, target_at, None));
        }
        Ok(self.no_data(node))
    }

    /// Refers to the name servers of a delegation at or above the current name.
    ///
    /// Its DS records are ours to tell (RFC 4035, section 3.1.4.1).
    fn at_delegation(&mut self, node: NodeId) -> Result<Step, DoesNotFit> {
        let layout = self.writer.layout();
        let is_here = usize::from(layout.node(node).depth) == self.relative;
        if self.qtype != Rtype::DS || !is_here {
            return Ok(Step::Done(Rcode::NOERROR, Authority::Referral(node)));
        }
        match layout.find(node, Rtype::DS) {
            Some(rrset) => {
                self.write(rrset)?;
                Ok(Step::Done(Rcode::NOERROR, Authority::Nothing))
            }
            None => Ok(self.no_data(node)),
        }
    }

    /// Renames the current name by a DNAME above it (RFC 6672, section 3.2).
    fn at_dname(&mut self, node: NodeId) -> Result<Step, DoesNotFit> {
        const DONE: Step = Step::Done(Rcode::NOERROR, Authority::Nothing);
        let layout = self.writer.layout();
        let Some(dname) = layout.find(node, Rtype::DNAME) else {
            return Ok(DONE);
        };
        // Like below a wildcard, there are as many names as somebody makes up.
        self.is_synthesised = true;
        if !self.chain.went_through(node) {
            self.writer
                .rrset(Section::Answer, Owner::Node(node), dname)?;
        }
        let kept = self.relative - usize::from(layout.node(node).depth);
        let mut target = NameBuffer::root();
        let renamed = target
            .push_labels(&self.name.as_wire()[..self.name.start(kept)])
            .and_then(|()| self.read_target(dname, &mut target));
        if renamed.is_none() {
            return Ok(Step::Done(Rcode::YXDOMAIN, Authority::Nothing));
        }
        let current = Current {
            name: &self.name,
            relative: self.relative,
            at: self.at,
        };
        let ttl = layout.rrset(dname).ttl;
        let target_at = self.writer.synthesised_cname(current, ttl, &target)?;
        // Then it is what was asked for.
        if self.qtype == Rtype::CNAME {
            return Ok(DONE);
        }
        Ok(self.follow(target, target_at, Some(node)))
    }

    /// Goes on with the target of an alias, which stands in the reply at `target_at`.
    ///
    /// That ends outside of the zone, where a resolver asks on by itself, and where a name comes
    /// a second time.
    fn follow(&mut self, target: NameBuffer, target_at: usize, dname: Option<NodeId>) -> Step {
        const DONE: Step = Step::Done(Rcode::NOERROR, Authority::Nothing);
        let is_full = self.chain.add(self.at, dname).is_none();
        let mut names = self.chain.names();
        if is_full || names.any(|at| self.writer.is_name_at(at, &target)) {
            return DONE;
        }
        let Some(relative) = target.labels_before(self.writer.zone().apex_wire()) else {
            return DONE;
        };
        self.name = Sought::Target(target);
        self.relative = relative;
        self.at = target_at;
        Step::Next
    }

    /// Says that the name exists without the type.
    fn no_data(&mut self, node: NodeId) -> Step {
        self.prove(|chain| chain.at(node));
        Step::Done(Rcode::NOERROR, Authority::Negative)
    }

    /// Writes an RRset of a name, unless it is in the reply.
    fn write_once(&mut self, node: NodeId, rrset: RrsetId) -> Result<(), DoesNotFit> {
        if !self.is_written(node, rrset) {
            self.write(rrset)?;
        }
        Ok(())
    }

    /// Returns whether an RRset of a name was written on the way: it is the DNAME of a chain that
    /// came back to its owner.
    fn is_written(&self, node: NodeId, rrset: RrsetId) -> bool {
        let layout = self.writer.layout();
        layout.rrset(rrset).rtype == Rtype::DNAME
            && self.chain.went_through(node)
            // At a wildcard it was written under that name, not under the current one.
            && layout.owner(node) == &self.name.as_wire()[..self.name.start(self.relative)]
    }

    /// Writes an RRset that belongs to the current name; returns where its data begin.
    fn write(&mut self, rrset: RrsetId) -> Result<usize, DoesNotFit> {
        let owner = owner(&self.name, self.relative, self.at);
        self.writer.rrset(Section::Answer, owner, rrset)
    }

    /// Appends the name that is the data of an RRset's one record to `target`.
    fn read_target(&self, rrset: RrsetId, target: &mut NameBuffer) -> Option<()> {
        let layout = self.writer.layout();
        let zone = self.writer.zone();
        let record = layout.records(layout.rrset(rrset)).first()?;
        target.push_labels(zone.octets(record))?;
        let mut names = layout.rdata_names(record).iter();
        if names.any(RdataName::is_in_zone) {
            target.push_labels(zone.apex_wire())?;
        }
        Some(())
    }

    /// Notes an NSEC record that the answer needs.
    fn prove(&mut self, link: impl FnOnce(&NsecChain) -> u32) {
        if self.writer.with_dnssec()
            && let Some(chain) = chain(self.writer.layout())
        {
            self.proofs.add(link(chain));
        }
    }
}

impl Deref for Sought<'_> {
    type Target = NameBuffer;

    fn deref(&self) -> &NameBuffer {
        match self {
            Self::Question(name) => name,
            Self::Target(name) => name,
        }
    }
}

/// Returns the current name as the owner of records.
fn owner(name: &NameBuffer, relative: usize, at: usize) -> Owner<'_> {
    Owner::Current(Current { name, relative, at })
}

/// Returns the zone's NSEC records.
fn chain(layout: &Layout) -> Option<&NsecChain> {
    match layout.denial() {
        Denial::Nsec(chain) => Some(chain),
        Denial::Unsigned => None,
    }
}

impl Outcome {
    /// Writes the authority and additional sections.
    ///
    /// # Errors
    ///
    /// When something that is required does not fit.
    pub(super) fn write(mut self, writer: &mut Writer<'_, '_, '_>) -> Result<(), DoesNotFit> {
        let layout = writer.layout();
        let named_by = match self.authority {
            Authority::Nothing => self.names_hosts,
            Authority::Negative => {
                writer.negative_soa()?;
                None
            }
            Authority::Referral(node) => self.write_referral(node, writer)?,
        };
        if let Some(chain) = chain(layout) {
            for link in self.proofs.links() {
                let link = chain.link(*link);
                writer.nsec(Section::Authority, Owner::Node(link.node), link)?;
            }
        }
        let Some(rrset) = named_by else {
            return Ok(());
        };
        let hosts = layout.additional(layout.rrset(rrset));
        for glue in hosts.iter().filter(|host| host.need == Need::Required) {
            writer.rrset(Section::Additional, Owner::Node(glue.host), glue.rrset)?;
        }
        for host in hosts.iter().filter(|host| host.need == Need::Optional) {
            let owner = Owner::Node(host.host);
            let written = writer.optional_rrset(Section::Additional, owner, host.rrset);
            // The others are of about that length, and trying them all costs what nobody gets.
            if written.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Writes the NS records of a delegation and its DS records; where it has none, notes the
    /// NSEC record that says so (RFC 4035, section 3.1.4). Returns the NS RRset.
    fn write_referral(
        &mut self,
        node: NodeId,
        writer: &mut Writer<'_, '_, '_>,
    ) -> Result<Option<RrsetId>, DoesNotFit> {
        let layout = writer.layout();
        let servers = layout.find(node, Rtype::NS);
        if let Some(servers) = servers {
            writer.rrset(Section::Authority, Owner::Node(node), servers)?;
        }
        if writer.with_dnssec() {
            match layout.find(node, Rtype::DS) {
                Some(ds) => {
                    writer.rrset(Section::Authority, Owner::Node(node), ds)?;
                }
                None => {
                    if let Some(chain) = chain(layout) {
                        self.proofs.add(chain.at(node));
                    }
                }
            }
        }
        Ok(servers)
    }
}

impl Chain {
    /// Notes where a name stands from which an alias led on; `None` if there were enough.
    fn add(&mut self, at: usize, dname: Option<NodeId>) -> Option<()> {
        *self.links.get_mut(self.length)? = (at, dname);
        self.length += 1;
        (self.length < MAX_CHAIN).then_some(())
    }

    /// Returns where the names stand.
    fn names(&self) -> impl Iterator<Item = usize> {
        self.links[..self.length].iter().map(|(at, _)| *at)
    }

    /// Returns whether the DNAME of a node was followed, and so was written.
    fn went_through(&self, node: NodeId) -> bool {
        let mut links = self.links[..self.length].iter();
        links.any(|(_, dname)| *dname == Some(node))
    }
}

impl Proofs {
    /// Adds a record, unless it is there.
    fn add(&mut self, link: u32) {
        if self.links().contains(&link) {
            return;
        }
        // Each alias needs one at most, the last name two, a referral one: there is room.
        debug_assert!(self.length < self.links.len());
        if let Some(free) = self.links.get_mut(self.length) {
            *free = link;
            self.length += 1;
        }
    }

    /// Returns the records.
    fn links(&self) -> &[u32] {
        &self.links[..self.length]
    }
}
