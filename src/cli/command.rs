//! The command line as clap reads it.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::change_command::ChangeCommand;
use super::domain_command::DomainCommand;
use super::moment;

/// Authoritative, DNSSEC-signing DNS server for pools of throwaway mail domains.
#[derive(Debug, Parser)]
#[command(
    name = "mxpool",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How client commands reach the server.
    #[command(flatten)]
    pub connection: Connection,
}

/// Where the API is when nothing else is said.
pub(super) const DEFAULT_API: &str = "http://127.0.0.1:8053";
/// The commands that ask no server: what says how to reach one is not shown in their help.
const LOCAL: [&str; 6] = [
    "serve",
    "demo",
    "check-config",
    "restore",
    "openapi",
    "completions",
];

impl Cli {
    /// Reads what was typed; exits where it is no command, or help is asked for.
    pub fn read() -> Self {
        let mut command = Self::tree();
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// Returns the tree of commands.
    pub(super) fn tree() -> clap::Command {
        let tree = Self::command();
        // They stand in for the global ones, which may be typed in front of any command.
        let connection = tree
            .get_arguments()
            .filter(|argument| argument.is_global_set());
        let hidden: Vec<Arg> = connection
            .map(|argument| argument.clone().hide(true))
            .collect();
        LOCAL.into_iter().fold(tree, |tree, local| {
            tree.mut_subcommand(local, |command| command.args(&hidden))
        })
    }
}

/// How client commands reach the server and show what it says.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of commands that ask a server")]
pub struct Connection {
    /// Where the server's API is.
    #[arg(
        long,
        global = true,
        env = "MXPOOL_API",
        value_name = "URL",
        default_value = DEFAULT_API
    )]
    pub api: String,
    /// The API token.
    #[arg(
        long,
        global = true,
        env = "MXPOOL_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<String>,
    /// The file that holds the API token; without it data/admin.token, if it can be read.
    #[arg(
        long,
        global = true,
        env = "MXPOOL_TOKEN_FILE",
        value_name = "FILE",
        // Other than for a path, nothing is a value, too: it counts as absent.
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub token_file: Option<PathBuf>,
    /// How answers are shown; JSON is exactly the API's.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: OutputForm,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people: aligned columns.
    #[default]
    Table,
    /// For scripts: what the API said.
    Json,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server in the foreground (SIGTERM and SIGINT stop it).
    Serve(ConfigFile),
    /// Serve with embedded defaults and a demo pool, in ./data.
    Demo,
    /// Read the configuration and report every problem at once.
    CheckConfig(ConfigFile),
    /// Fill an empty store from a backup, with the server stopped.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Whose store is filled.
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print the API's OpenAPI document.
    Openapi,
    /// A command that asks a running server.
    #[command(flatten)]
    Client(ClientCommand),
}

/// Which configuration is read.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigFile {
    /// The configuration; without it ./mxpool.toml where there is one, else the defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A command that speaks to a running server, or needs none.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Make pools be what manifests say; never removes a domain that they do not name.
    Apply(Apply),
    /// Look at pools, rotate them, delete one.
    #[command(subcommand)]
    Pool(PoolCommand),
    /// The operator's own zones.
    #[command(subcommand)]
    Zone(ZoneCommand),
    /// The domains of the pools.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Records of one domain alone.
    #[command(subcommand)]
    Record(RecordCommand),
    /// Changes: those that wait for their moment, what one did or is to do, and the way back.
    #[command(subcommand)]
    Change(ChangeCommand),
    /// Show what each registrar must still be told: name servers and DS, wanted and seen.
    Delegations {
        /// Only those where something is to be done.
        #[arg(long)]
        differs: bool,
        /// As comma-separated values, one domain a line.
        #[arg(long)]
        csv: bool,
    },
    /// Show who changed what, newest last: the last entries, or those behind one.
    Audit {
        /// Begin after this entry; 0 is the beginning. Without it the last ones are shown.
        #[arg(long, value_name = "N")]
        after: Option<u64>,
        /// Show at most so many entries; a hundred without it.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Copy the running store into a new file; the sealing key is never in it.
    Backup {
        /// The file to write; one that exists is never overwritten.
        file: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The manifests; they are read as one.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How many existing domains the change is meant to touch, as the plan says.
    #[arg(long, value_name = "N")]
    pub confirm: Option<u64>,
    /// Do it at this moment instead of now, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub at: Option<String>,
}

/// What can be done with pools.
#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// List the pools and count their domains.
    List,
    /// Show the settings of a pool.
    Show {
        /// The pool.
        pool: String,
    },
    /// Take domains out of use and put others in their place, all at once.
    #[command(
        after_help = "With --dry-run it tells which domains that would be, what happens to each of \
                      them and when,\nand why others are not ready. The README explains the rules \
                      by name."
    )]
    Rotate(Rotate),
    /// Name the domain that the next new address should be in, and count it.
    Handout {
        /// The pool.
        pool: String,
    },
    /// Delete a pool that has no domains.
    Delete {
        /// The pool.
        pool: String,
    },
}

/// Arguments of `pool rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The pool.
    pub pool: String,
    /// An active domain to take out of use; may be given several times. Without it the oldest ones.
    #[arg(long, value_name = "DOMAIN")]
    pub burn: Vec<String>,
    /// How many standby domains become active; without it as many as are burned, at least one.
    #[arg(long, value_name = "N")]
    pub activate: Option<u32>,
    /// Say what would happen and when, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do it at this moment instead of now, like 2027-01-31 or 2027-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment::read)]
    pub at: Option<String>,
    /// Why, for the audit log.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// What can be done with the operator's own zones.
#[derive(Debug, Subcommand)]
pub enum ZoneCommand {
    /// List the zones.
    List,
    /// Print a zone's master file.
    Show {
        /// The zone.
        zone: String,
        /// Print what is served: derived records and signatures, too.
        #[arg(long)]
        signed: bool,
    },
    /// Show the DS records for the zone's registrar.
    Ds {
        /// The zone.
        zone: String,
    },
    /// Create a zone out of a master file, or replace it.
    Set {
        /// The zone.
        zone: String,
        /// The master file; what it includes must lie in the same folder.
        file: PathBuf,
        /// How many existing domains the change is meant to touch.
        #[arg(long, value_name = "N")]
        confirm: Option<u64>,
    },
    /// Delete a zone.
    Delete {
        /// The zone.
        zone: String,
        /// How many existing domains the change is meant to touch.
        #[arg(long, value_name = "N")]
        confirm: Option<u64>,
    },
}

/// What can be done with records of one domain.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Give a domain records of its own, in place of those of the same owner and type.
    Set {
        /// The domain.
        name: String,
        /// The owner, relative to the domain; `@` is the domain itself.
        owner: String,
        /// The type, like A or TXT.
        #[arg(value_name = "TYPE")]
        rtype: String,
        /// How long caches keep them, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        ttl: u32,
        /// The data of each record, as in a master file; behind `--` it may begin with a hyphen.
        #[arg(required = true, value_name = "VALUE")]
        values: Vec<String>,
    },
    /// Take records of its own from a domain.
    Delete {
        /// The domain.
        name: String,
        /// The owner, relative to the domain; `@` is the domain itself.
        owner: String,
        /// The type, like A or TXT.
        #[arg(value_name = "TYPE")]
        rtype: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_well_formed() {
        Cli::tree().debug_assert();
    }

    #[test]
    fn how_to_reach_a_server_is_told_where_one_is_asked() {
        let help = |path: &[&str]| {
            let mut tree = Cli::tree();
            tree.build();
            let command = path.iter().fold(&mut tree, |command, name| {
                command.find_subcommand_mut(name).unwrap()
            });
            command.render_long_help().to_string()
        };

        for local in LOCAL {
            assert!(!help(&[local]).contains("--token"), "{local}");
        }
        assert!(help(&["domain", "add"]).contains("--token-file"));
        assert!(help(&["apply"]).contains("--output"));
    }

    #[test]
    fn the_server_may_be_named_in_front_of_the_command_or_behind() {
        for line in [
            "--api http://[::1]:1 --output json domain list",
            "domain list --api http://[::1]:1 --output json",
        ] {
            let words = ["mxpool"].into_iter().chain(line.split(' '));
            let matches = Cli::tree().try_get_matches_from(words).unwrap();
            let cli = Cli::from_arg_matches(&matches).unwrap();

            assert_eq!(cli.connection.api, "http://[::1]:1");
            assert_eq!(cli.connection.output, OutputForm::Json);
        }
    }

    #[test]
    fn local_commands_are_read_without_a_server() {
        for line in [
            "demo",
            "--output json openapi",
            "openapi --output json --token-file x",
            "restore a --config b",
        ] {
            let words = ["mxpool"].into_iter().chain(line.split(' '));
            let matches = Cli::tree().try_get_matches_from(words).unwrap();

            assert!(Cli::from_arg_matches(&matches).is_ok(), "{line}");
        }
    }

    #[test]
    fn commands_are_read_as_users_write_them() {
        for line in [
            "serve --config mxpool.toml",
            "demo",
            "check-config",
            "apply a.toml b.toml --dry-run --confirm 12",
            "pool show main --output json",
            "zone set infra.example infra.zone",
            "domain add main a.example b.example",
            "domain add main --from-file names.txt",
            "domain add main a.example --fresh --registrar r --label k=v --label x=",
            "domain add main --fresh=false a.example --expires-at 2027-01-31T00:00:00Z",
            "domain set a.example b.example --expires-at 2027-01-31 --label k=v",
            "domain set a.example --forget registrar --forget expires-at",
            "domain delete a.example --force",
            "domain activate a.example --force --reason tests",
            "domain retire a.example",
            "domain retire a.example b.example --confirm 2 --reason due",
            "domain list --pool main --retire-due",
            "domain suspend a.example --answer later --reason abuse --until 2027-01-31T00:00:00Z",
            "domain hold a.example --reason court",
            "domain observed a.example --ns yes --ds no --mail-ready yes",
            "domain caches a.example --at 2027-01-31T00:00:00Z",
            "pool rotate main --burn a.example --burn b.example --activate 2 --dry-run",
            "pool handout main",
            "pool rotate main --at 2027-01-31T00:00:00Z --reason plan",
            "domain drain a.example --at 2027-01-31T00:00:00Z",
            "domain hold a.example --at 2027-01-31T00:00:00Z",
            "apply a.toml --at 2027-01-31T00:00:00Z",
            "change list",
            "change show 12",
            "change undo 12 --dry-run --reason mistake --confirm 120",
            "delegations --differs --csv",
            "record set a.example www TXT --ttl 60 -- -a b",
            "record set a.example www TXT a b --ttl 60 --output json",
            "backup store.backup",
            "restore store.backup --config mxpool.toml",
            "completions bash",
            "openapi",
        ] {
            let words = ["mxpool"].into_iter().chain(line.split(' '));
            let read = Cli::try_parse_from(words);

            assert!(read.is_ok(), "{line}: {read:?}");
        }
    }

    #[test]
    fn force_needs_a_reason() {
        let read = Cli::try_parse_from(["mxpool", "domain", "activate", "a.example", "--force"]);

        assert!(read.is_err());
    }
}
