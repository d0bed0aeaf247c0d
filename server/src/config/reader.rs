//! Merges defaults, file and environment, and converts the values to types.
//!
//! After an invalid value the reader records the problem and continues with a placeholder, so that all
//! problems are found at once. Placeholders are never used, because any problem ends in an error.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, Value, ValueKind as SourceKind};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use sknock_protocol::{Misspelt, Service, service};
use zeroize::Zeroizing;

use super::finding::Note;
use super::ini::ConfigEntry;
use super::{ConfigKey, Password, Problem, ValueKind, schema};

/// Maximum number of URLs; limits the work of a refresh.
const MOST_URLS: usize = 16;

/// One source of values: a later layer overrides an earlier one, key by key.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    fn defaults() -> Self {
        let value = |key: &ConfigKey| Value::new(None, SourceKind::String(key.default.into()));
        Self(schema::ALL.iter().map(|key| (key.name.to_ascii_lowercase(), value(key))).collect())
    }

    /// Without secrets: this map would not overwrite them in memory.
    fn of(entries: &[ConfigEntry]) -> Self {
        let public = entries.iter().filter(|entry| entry.key.kind != ValueKind::Secret);
        let value = |entry: &ConfigEntry| {
            Value::new(Some(&entry.place), SourceKind::String(entry.value.to_string()))
        };
        Self(public.map(|entry| (entry.key.name.to_ascii_lowercase(), value(entry))).collect())
    }
}

/// The merged layers.
pub(super) struct SettingsReader<'a> {
    values: HashMap<String, Value>,
    secret: Option<ConfigEntry>,
    pub(super) file: &'a Path,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Note>,
}

impl<'a> SettingsReader<'a> {
    pub(super) fn new(
        file: Vec<ConfigEntry>,
        environment: Vec<ConfigEntry>,
        config: &'a Path,
        mut problems: Vec<Problem>,
    ) -> Self {
        let layers = Config::builder()
            .add_source(Layer::defaults())
            .add_source(Layer::of(&file))
            .add_source(Layer::of(&environment));
        let values = layers.build().and_then(|config| config.collect()).unwrap_or_else(|error| {
            problems.push(Problem::new("configuration", error.to_string(), "Correct it"));
            Map::default()
        });
        let secret = file
            .into_iter()
            .chain(environment)
            // The environment is behind the file and overrides it, also with an empty value.
            .rfind(|entry| entry.key.kind == ValueKind::Secret)
            .filter(|entry| !entry.value.is_empty());
        Self {
            values: values.into_iter().collect(),
            secret,
            file: config,
            problems,
            notes: Vec::new(),
        }
    }

    /// The place where the key was set, or `None` for its default.
    pub(super) fn place(&self, key: &ConfigKey) -> Option<String> {
        let value = self.values.get(&key.name.to_ascii_lowercase())?;
        value.origin().map(ToOwned::to_owned)
    }

    /// The place of each key that was set.
    pub(super) fn places(&self) -> BTreeMap<&'static str, String> {
        let set = schema::ALL.iter().filter_map(|key| Some((key.name, self.place(key)?)));
        let secret = self.secret.as_ref().map(|entry| (entry.key.name, entry.place.clone()));
        set.chain(secret).collect()
    }

    /// The place where the password was set.
    pub(super) fn secret_place(&self) -> Option<&str> {
        self.secret.as_ref().map(|entry| entry.place.as_str())
    }

    pub(super) fn text(&self, key: &ConfigKey) -> String {
        let value = self.values.get(&key.name.to_ascii_lowercase()).cloned();
        value.and_then(|value| value.into_string().ok()).unwrap_or_else(|| key.default.into())
    }

    pub(super) fn problem(
        &mut self,
        key: &ConfigKey,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let place = self.place(key).unwrap_or_else(|| format!("default of {}", key.name));
        self.problems.push(Problem::new(place, what, remedy).about(key.name));
    }

    pub(super) fn note(
        &mut self,
        place: String,
        what: impl Into<String>,
        remedy: impl Into<String>,
        warning: bool,
    ) {
        self.notes.push(Note { place, what: what.into(), remedy: remedy.into(), warning });
    }

    pub(super) fn bad(&mut self, key: &ConfigKey, text: &str) {
        let shown: String = text.chars().take(60).collect();
        let mut remedy = format!("Write {}. The default is {:?}", key.values(), key.default);
        if text.contains(['#', ';']) {
            remedy.push_str(". A comment needs a line of its own");
        }
        self.problem(key, format!("{} cannot be {shown:?}", key.name), remedy);
    }

    /// A number within the limits of the table.
    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, key: &ConfigKey) -> T {
        let text = self.text(key);
        // `u64::from_str` also accepts a leading `+`.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<u64>().ok()).flatten().filter(
            |number| matches!(key.kind, ValueKind::Number { min, max } if (min..=max).contains(number)),
        );
        number.and_then(|number| T::try_from(number).ok()).unwrap_or_else(|| {
            self.bad(key, &text);
            T::default()
        })
    }

    /// A number with at most one decimal, within the limits of the table, in tenths.
    pub(super) fn tenths(&mut self, key: &ConfigKey) -> u64 {
        let text = self.text(key);
        let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = !whole.is_empty() && tenth.len() == 1 && digits(whole) && digits(tenth);
        let number = plain.then(|| format!("{whole}{tenth}").parse::<u64>().ok()).flatten().filter(
            |number| matches!(key.kind, ValueKind::Tenths { min, max } if (min..=max).contains(number)),
        );
        number.unwrap_or_else(|| {
            self.bad(key, &text);
            0
        })
    }

    /// One of the words that `T` deserialises from.
    pub(super) fn word<T: for<'de> Deserialize<'de> + Default>(&mut self, key: &ConfigKey) -> T {
        let text = self.text(key);
        let word = text.to_ascii_lowercase();
        let parsed: Result<T, WordError> = T::deserialize(word.as_str().into_deserializer());
        parsed.unwrap_or_else(|_| {
            self.bad(key, &text);
            T::default()
        })
    }

    /// A path, relative to the configuration file's folder; `None` if it is empty.
    pub(super) fn optional_path(&mut self, key: &ConfigKey) -> Option<PathBuf> {
        let text = self.text(key);
        let folder = self.file.parent().unwrap_or(Path::new(""));
        (!text.is_empty()).then(|| folder.join(text))
    }

    /// A path; an empty one is an error.
    pub(super) fn path(&mut self, key: &ConfigKey) -> PathBuf {
        self.optional_path(key).unwrap_or_else(|| {
            self.bad(key, "");
            PathBuf::new()
        })
    }

    /// Services, joined and sorted.
    pub(super) fn services(&mut self, key: &ConfigKey) -> Vec<Service> {
        let text = self.text(key);
        let mut services = Vec::new();
        for item in items(&text) {
            match Service::spelt(item) {
                Ok(service) => services.push(service),
                Err(Misspelt::Other(_)) => self.bad(key, item),
                Err(meant) => {
                    let shown: String = item.chars().take(60).collect();
                    self.problem(
                        key,
                        format!("{} cannot be {shown:?}", key.name),
                        capitalised(&meant.to_string()),
                    );
                }
            }
        }
        service::union(services)
    }

    /// URLs of CRLs.
    pub(super) fn urls(&mut self, key: &ConfigKey) -> Vec<String> {
        let text = self.text(key);
        let mut urls: Vec<String> = Vec::new();
        for item in items(&text) {
            match reqwest::Url::parse(item) {
                Ok(url) if !url.username().is_empty() || url.password().is_some() => self.problem(
                    key,
                    format!("{} contains a user or password, and the log shows it", key.name),
                    "Publish the CRL without a password; it is signed and not secret",
                ),
                Ok(url) if matches!(url.scheme(), "http" | "https") => urls.push(item.to_owned()),
                // Probably a part of `user:password@host`.
                _ if text.contains('@') => {
                    let remedy = format!("Write {}, without a user and a password", key.values());
                    self.problem(key, format!("{} contains an invalid URL", key.name), remedy);
                }
                _ => self.bad(key, item),
            }
        }
        if urls.len() > MOST_URLS {
            let what = format!("{} has {} addresses", key.name, urls.len());
            self.problem(key, what, format!("Use at most {MOST_URLS}"));
        }
        urls
    }

    /// The password in the configuration itself.
    pub(super) fn secret(&mut self) -> Option<Password> {
        let entry = self.secret.as_ref()?;
        Some(Password::new(Zeroizing::clone(&entry.value)))
    }
}

/// Remedies are sentences.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The items of a list, separated by commas or white space.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}
