//! The commands about domains, as clap reads them.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::moment;

/// What the help of every step in a domain's life ends with.
const EARLY: &str = "A step that comes too early is refused with every rule that holds it, what that \
                     waits for and until when;\n`mxpool domain show NAME` tells the same at any time. \
                     The README explains the rules by name.";

/// What can be done with domains.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Add domains to a pool.
    Add(AddDomains),
    /// List domains.
    List {
        /// Only those of this pool.
        #[arg(long)]
        pool: Option<String>,
        /// Only those in this state: standby, active, draining, retired or released.
        #[arg(long)]
        state: Option<String>,
        /// Only those that can be retired now.
        #[arg(long, conflicts_with = "state")]
        retire_due: bool,
    },
    /// Change what is said about a domain: where it is registered, until when, your labels.
    Set(SetDomain),
    /// Show a domain.
    Show {
        /// The domain.
        name: String,
    },
    /// Show a domain's DS, DNSKEY and CDS records for its registrar.
    Ds {
        /// The domain.
        name: String,
    },
    /// Print a domain's zone as a master file.
    Zone {
        /// The domain.
        name: String,
        /// Print the signatures, too.
        #[arg(long)]
        signed: bool,
    },
    /// Put a domain back to standby, while no address in it was handed out.
    #[command(after_help = EARLY)]
    Standby(Step),
    /// Make a domain active: mail is accepted, and addresses in it are handed out.
    #[command(after_help = EARLY)]
    Activate(Step),
    /// Stop handing out addresses in a domain; its mail goes on arriving.
    #[command(after_help = EARLY)]
    Drain(Step),
    /// End a domain's mail: a null MX says that it takes none any more.
    #[command(after_help = EARLY)]
    Retire(Step),
    /// Give a domain up: its zone is dropped once nobody can still need it.
    #[command(after_help = EARLY)]
    Release(Step),
    /// Let a domain take no mail for a while; DNS stays as it is, and `resume` undoes it.
    Suspend(Suspend),
    /// End a suspension.
    Resume(Mark),
    /// Let no step withdraw anything of a domain, whatever the clock says.
    Hold(Mark),
    /// End a hold.
    Unhold(Mark),
    /// Say what you have seen of a domain, where nothing watches.
    Observed(Observed),
    /// Show what caches, validators and senders may still hold of a domain, and until when.
    Caches {
        /// The domain.
        name: String,
        /// At which moment, like 2027-01-31 or 2027-01-31T09:00:00Z; now without it.
        #[arg(long, value_name = "TIME", value_parser = moment::read)]
        at: Option<String>,
    },
    /// Delete a domain with its keys.
    Delete {
        /// The domain.
        name: String,
        /// Delete it although it may have been delegated.
        #[arg(long)]
        force: bool,
    },
}

/// Arguments of `domain add`.
#[derive(Debug, Args)]
pub struct AddDomains {
    /// The pool.
    pub pool: String,
    /// The domains.
    #[arg(required_unless_present = "from_file", value_name = "NAME")]
    pub names: Vec<String>,
    /// A file with one domain a line; `#` begins a remark. Up to 10 000 are added all or none.
    #[arg(long, conflicts_with = "names", value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// They were never delegated before, or were with `=false`; without it as the pool says.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub fresh: Option<bool>,
    /// Where they are registered.
    #[arg(long, value_name = "TEXT")]
    pub registrar: Option<String>,
    /// When their registration ends, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub expires_at: Option<String>,
    /// A label of your own; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = read_label)]
    pub labels: Vec<(String, String)>,
}

/// Arguments of `domain set`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("said").required(true).multiple(true))]
pub struct SetDomain {
    /// The domain; of several each by itself.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Where it is registered.
    #[arg(long, value_name = "TEXT", group = "said")]
    pub registrar: Option<String>,
    /// When its registration ends, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read, group = "said")]
    pub expires_at: Option<String>,
    /// A label of your own; may be given several times, and takes the place of all that it had.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = read_label, group = "said")]
    pub labels: Vec<(String, String)>,
    /// What is to be known no more; may be given several times.
    #[arg(long, value_name = "WHAT", value_enum, group = "said")]
    pub forget: Vec<Forget>,
}

/// What can be forgotten of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Forget {
    /// Where it is registered.
    Registrar,
    /// When its registration ends.
    ExpiresAt,
    /// All its labels.
    Labels,
}

/// Reads a label.
fn read_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Arguments of a step in a domain's life.
#[derive(Debug, Args)]
pub struct Step {
    /// The domain; of several all take the step, or none.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Skip waits and what is not known, but nothing that was seen to be unsafe; needs a reason.
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Do it at this moment instead of now, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub at: Option<String>,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How many existing domains the steps are meant to touch.
    #[arg(long, value_name = "N")]
    pub confirm: Option<u64>,
}

/// Arguments of `domain suspend`.
#[derive(Debug, Args)]
pub struct Suspend {
    /// The domain.
    pub name: String,
    /// What its senders are told: `later` (they try again) or `never` (they give up).
    #[arg(long, value_enum)]
    pub answer: Answer,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// When it ends by itself, like 2027-01-31T09:00:00Z or 2027-01-31, when that day begins.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub until: Option<String>,
    /// Do it at this moment instead of now, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub at: Option<String>,
}

/// What the senders to a suspended domain are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// Try again later (450): nothing is lost if it ends within days.
    Later,
    /// Give up (556): the mail is returned to its senders.
    Never,
}

/// Arguments of what is noted beside a domain's state, or taken away.
#[derive(Debug, Args)]
pub struct Mark {
    /// The domain.
    pub name: String,
    /// Do it at this moment instead of now, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub at: Option<String>,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Arguments of `domain observed`: what is left away is not spoken of.
#[derive(Debug, Args)]
pub struct Observed {
    /// The domain.
    pub name: String,
    /// Every parent server names our name servers.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub ns: Option<bool>,
    /// Every parent server has the DS of the domain's key, and no other.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub ds: Option<bool>,
    /// No parent server names any name server for it any more.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub ns_gone: Option<bool>,
    /// Every name server of the pool serves the zone as it is now.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub published: Option<bool>,
    /// Every mail host answers for it.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub mail_ready: Option<bool>,
    /// Every policy host serves the MTA-STS policy as it is now.
    #[arg(long, value_name = "YES|NO", value_parser = read_yes)]
    pub policy_served: Option<bool>,
    /// How many MX queries a day all name servers count for it.
    #[arg(long, value_name = "N")]
    pub queries: Option<u64>,
    /// Since when that is so, like 2027-01-31T09:00:00Z; now without it. A day would count from its
    /// first moment, which may be too early, and is refused.
    #[arg(long, value_name = "MOMENT")]
    pub at: Option<String>,
}

/// Reads yes or no.
fn read_yes(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}
