//! What `nft -j list ruleset` prints, as chains with rules and sets with elements. Statements stay
//! JSON: who judges them knows which they understand.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// All tables but ours.
#[derive(Debug, Default)]
pub(super) struct Ruleset {
    chains: BTreeMap<ObjectName, ForeignChain>,
    sets: BTreeMap<ObjectName, Vec<Value>>,
    /// Chains that see packets before prerouting.
    pub(super) early: Vec<String>,
}

/// Family, table, and chain or set.
type ObjectName = (String, String, String);

/// A chain.
#[derive(Debug)]
pub(super) struct ForeignChain {
    pub(super) name: ObjectName,
    base: Option<Base>,
    pub(super) rules: Vec<ForeignRule>,
}

/// How a chain is tied to the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub(super) hook: ForeignHook,
    pub(super) priority: i64,
    /// What is not decided is dropped; else accepted.
    pub(super) drops: bool,
}

/// Where packets for this host, and from it, come by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum ForeignHook {
    Prerouting,
    Input,
    Output,
}

/// A rule.
#[derive(Debug)]
pub(super) struct ForeignRule {
    pub(super) handle: u64,
    pub(super) statements: Vec<Value>,
}

impl fmt::Display for ForeignChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, table, chain) = &self.name;
        write!(f, "table {family} {table}, chain {chain}")
    }
}

impl Ruleset {
    /// Objects of kinds that are not known are left out; they decide nothing.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let mut listed: Value =
            serde_json::from_slice(json).map_err(|error| format!("not valid JSON: {error}"))?;
        let Some(Value::Array(objects)) = listed.get_mut("nftables").map(Value::take) else {
            return Err("the key \"nftables\" is missing".to_owned());
        };
        let mut ruleset = Self::default();
        for object in objects {
            let Value::Object(object) = object else { continue };
            let Some((kind, value)) = object.into_iter().next() else { continue };
            ruleset.take(&kind, value);
        }
        Ok(ruleset)
    }

    fn take(&mut self, kind: &str, mut value: Value) {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let (family, table) = (text("family"), text("table"));
        if (&*family, &*table) == ("inet", "sknock") {
            return;
        }
        let name = match kind {
            "rule" => text("chain"),
            _ => text("name"),
        };
        let name = (family, table, name);
        let handle = value["handle"].as_u64().unwrap_or_default();
        let mut part = |key: &str| value.get_mut(key).map_or(Value::Null, Value::take);
        match kind {
            "chain" => self.chain(name, &value),
            "rule" => {
                if let (Some(chain), Value::Array(statements)) =
                    // nft lists all chains of a table before its rules.
                    (self.chains.get_mut(&name), part("expr"))
                {
                    chain.rules.push(ForeignRule { handle, statements });
                }
            }
            "set" | "map" => {
                let elements = match part("elem") {
                    Value::Array(elements) => elements,
                    _ => Vec::new(),
                };
                self.sets.insert(name, elements);
            }
            _ => {}
        }
    }

    fn chain(&mut self, name: ObjectName, value: &Value) {
        let hook = match value["hook"].as_str() {
            Some("prerouting") => Some(ForeignHook::Prerouting),
            Some("input") => Some(ForeignHook::Input),
            // What conntrack leaves alone is never translated.
            Some("output") if value["type"] != "nat" => Some(ForeignHook::Output),
            _ => None,
        };
        let base = hook.map(|hook| Base {
            hook,
            priority: value["prio"].as_i64().unwrap_or_default(),
            drops: value["policy"] == "drop",
        });
        let chain = ForeignChain { name: name.clone(), base, rules: Vec::new() };
        let bridged = name.0 == "bridge" && base.is_some();
        if value["hook"] == "ingress" || bridged {
            self.early.push(chain.to_string());
        }
        self.chains.insert(name, chain);
    }

    /// The chains that see packets of this host, in the order in which they do.
    pub(super) fn bases(&self, v6: bool) -> impl Iterator<Item = (&ForeignChain, &Base)> {
        let families = ["inet", if v6 { "ip6" } else { "ip" }];
        let ours = self.chains.values().filter(move |chain| families.contains(&&*chain.name.0));
        let mut bases: Vec<_> =
            ours.filter_map(|chain| Some((chain, chain.base.as_ref()?))).collect();
        bases.sort_by_key(|(_, base)| (base.hook, base.priority));
        bases.into_iter()
    }

    /// The chain of this name in the same table.
    pub(super) fn beside(&self, chain: &ForeignChain, name: &str) -> Option<&ForeignChain> {
        let (family, table, _) = &chain.name;
        self.chains.get(&(family.clone(), table.clone(), name.to_owned()))
    }

    /// The elements of the set or map of this name in the same table.
    pub(super) fn elements(&self, chain: &ForeignChain, name: &str) -> Option<&[Value]> {
        let (family, table, _) = &chain.name;
        let set = self.sets.get(&(family.clone(), table.clone(), name.to_owned()))?;
        Some(set)
    }
}
