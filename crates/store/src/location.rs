//! Where a ledger lies.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a ledger lies: parsed from a database URL, printed without a password.
///
/// ```
/// use towline_store::Location;
///
/// let location: Location = "sqlite:///var/lib/towline.db".parse()?;
/// assert_eq!(location.to_string(), "/var/lib/towline.db");
/// # Ok::<(), towline_store::LocationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite; `sqlite://PATH`, where an absolute path makes three slashes.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server; `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database. May hold a password, which neither `Display` nor `Debug` prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: String,
    shown: String,
}

impl PostgresUrl {
    /// The whole URL, password included: never to be printed.
    #[cfg(feature = "postgres")]
    pub(crate) fn secret(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// Why a text is no location. No variant repeats the text: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// There is no `://` in it.
    #[error("a database URL begins with sqlite:// or postgres://")]
    NoScheme,
    /// A database that is not supported.
    #[error("{scheme}:// is no supported database: use sqlite:// or postgres://")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// No path after `sqlite://`.
    #[error("sqlite:// is to be followed by the path of a file")]
    NoPath,
    /// Options after the path of a file.
    #[error("a sqlite:// URL takes no options: remove everything from the '?' on")]
    Options,
    /// Characters that have a meaning in URLs stand in the user name or the password.
    #[error(
        "in the user name and the password of a database URL, '@', '/', '?' and '#' are to be written as %XX"
    )]
    Escape,
    /// What stands after the host's colon is no port.
    #[error("the port of a database URL is a number from 1 to 65535")]
    Port,
    /// The crate was built without its feature `postgres`.
    #[error("this program was built without PostgreSQL")]
    NoPostgres,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let (scheme, rest) = text.split_once("://").ok_or(LocationError::NoScheme)?;
        match scheme {
            "sqlite" if rest.is_empty() => Err(LocationError::NoPath),
            "sqlite" if rest.contains('?') => Err(LocationError::Options),
            "sqlite" => Ok(Self::Sqlite(rest.into())),
            "postgres" | "postgresql" if cfg!(feature = "postgres") => {
                Ok(Self::Postgres(PostgresUrl { url: text.to_owned(), shown: without_secrets(rest)? }))
            }
            "postgres" | "postgresql" => Err(LocationError::NoPostgres),
            _ => Err(LocationError::Scheme { scheme: scheme.to_owned() }),
        }
    }
}

/// Drops the password and all options (`?password=...` is one) of what follows the scheme.
fn without_secrets(rest: &str) -> Result<String, LocationError> {
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (address, options) = rest.split_at(end);
    let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    // A raw '/', '?' or '#' in a password ends the authority too early, and the rest of the password shows.
    if path.contains('@') || options.contains('@') {
        return Err(LocationError::Escape);
    }
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains('@') => return Err(LocationError::Escape),
        Some((user, host)) => (user.split(':').next().filter(|user| !user.is_empty()), host),
        None => (None, authority),
    };
    check_port(host)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    Ok(format!("postgres://{user}{host}{path}"))
}

fn check_port(host: &str) -> Result<(), LocationError> {
    let after_address = host.rsplit_once(']').map_or(host, |(_, port)| port);
    match after_address.split_once(':') {
        Some((_, port)) if port.parse::<u16>().ok().filter(|port| *port != 0).is_none() => {
            Err(LocationError::Port)
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, LocationError> {
        text.parse::<Location>().map(|location| location.to_string())
    }

    #[test]
    fn a_file_is_taken_as_it_stands() {
        let file = |path: &str| Ok(Location::Sqlite(path.into()));
        assert_eq!("sqlite:///home/a b/%41.db".parse(), file("/home/a b/%41.db"));
        assert_eq!("sqlite://here.db".parse(), file("here.db"));
        assert_eq!(parsed("sqlite:///x/y.db").as_deref(), Ok("/x/y.db"));
    }

    #[test]
    fn what_is_no_location_is_told() {
        assert_eq!(parsed("/x/y.db"), Err(LocationError::NoScheme));
        assert_eq!(parsed("sqlite:/x/y.db"), Err(LocationError::NoScheme));
        assert_eq!(parsed(""), Err(LocationError::NoScheme));
        assert_eq!(parsed("mysql://h/d"), Err(LocationError::Scheme { scheme: "mysql".into() }));
        assert_eq!(parsed("sqlite://"), Err(LocationError::NoPath));
        assert_eq!(parsed("sqlite://a.db?mode=rwc"), Err(LocationError::Options));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn no_password_is_ever_shown() {
        for (url, shown) in [
            ("postgres://u:hunter2@h:5432/db?sslmode=require", "postgres://u@h:5432/db"),
            ("postgresql://u:hunter2@h/db", "postgres://u@h/db"),
            ("postgres://h/db?password=hunter2", "postgres://h/db"),
            ("postgres://:hunter2@[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("postgres://u@%2Frun%2Fpostgresql/db", "postgres://u@%2Frun%2Fpostgresql/db"),
            ("postgres:///db", "postgres:///db"),
        ] {
            assert_eq!(parsed(url).as_deref(), Ok(shown));
            assert!(!format!("{:?}", url.parse::<Location>()).contains("hunter2"), "{url}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_that_breaks_its_url_is_refused_and_not_shown() {
        for url in [
            "postgres://u:hunter2/x@h/db",
            "postgres://u:hunter2?x@h/db",
            "postgres://u:hunter2#x@h/db",
            "postgres://u:hunter2@x@h/db",
            "postgres://u:1234?hunter2@h/db",
            "postgres://h/db?password=hunter2@x",
        ] {
            assert_eq!(parsed(url), Err(LocationError::Escape), "{url}");
        }
        for url in
            ["postgres://h:hunter2/db", "postgres://h:0/db", "postgres://h:65536", "postgres://[::1]:x/"]
        {
            assert_eq!(parsed(url), Err(LocationError::Port), "{url}");
        }
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn postgres_is_refused_where_it_was_left_out() {
        assert_eq!(parsed("postgres://u:hunter2@h/db"), Err(LocationError::NoPostgres));
    }
}
