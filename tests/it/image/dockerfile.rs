//! A Dockerfile as far as ours goes: stages of instructions, JSON arrays for what is run.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Dockerfile {
    pub(super) stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) base: String,
    /// Name and what follows it, on one line.
    instructions: Vec<(String, String)>,
}

/// One COPY.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// `--from`.
    pub(super) stage: Option<String>,
    /// `--chown`.
    pub(super) owner: Option<String>,
    pub(super) source: String,
    pub(super) target: String,
}

// === impl Dockerfile ===

impl Dockerfile {
    pub(super) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let mut stages: Vec<Stage> = Vec::new();
        for line in lines.join("\n").replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, rest) = (words[0], words[1..].join(" "));
            if name == "FROM" {
                stages.push(Stage { base: words[1].to_owned(), instructions: Vec::new() });
            } else {
                let stage = stages.last_mut().expect("an instruction before FROM");
                stage.instructions.push((name.to_owned(), rest));
            }
        }
        Self { stages }
    }

    /// The last stage: what becomes the image.
    pub(super) fn runtime(&self) -> &Stage {
        self.stages.last().unwrap()
    }
}

// === impl Stage ===

impl Stage {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.instructions.iter().filter(|(n, _)| n == name).map(|(_, rest)| rest.as_str()).collect()
    }

    /// An instruction that is there once.
    pub(super) fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0]
    }

    /// An instruction in the form that needs no shell.
    pub(super) fn exec(&self, name: &str) -> Vec<String> {
        array(self.one(name))
    }

    /// What the health check runs.
    pub(super) fn health(&self) -> Vec<String> {
        let (_, command) = self.one("HEALTHCHECK").split_once("CMD ").expect("a command");
        array(command)
    }

    /// Numeric, so that an orchestrator can tell that it is not root.
    pub(super) fn user(&self) -> (u32, u32) {
        let (user, group) = self.one("USER").split_once(':').expect("user:group");
        (user.parse().unwrap(), group.parse().unwrap())
    }

    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let pairs = self.all("ENV").join(" ");
        pairs
            .split(' ')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(n, v)| (n.into(), v.into()))
            .collect()
    }

    pub(super) fn copied(&self) -> Vec<Copied> {
        self.all("COPY").into_iter().map(Copied::parse).collect()
    }
}

fn array(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text} is no JSON array: {error}"))
}

// === impl Copied ===

impl Copied {
    fn parse(text: &str) -> Self {
        let (options, files): (Vec<&str>, Vec<&str>) =
            text.split(' ').partition(|word| word.starts_with("--"));
        let [source, target] = files[..] else { panic!("COPY {text}: not one source and one target") };
        let option = |name: &str| options.iter().find_map(|o| o.strip_prefix(name)).map(str::to_owned);
        let copied = Self {
            stage: option("--from="),
            owner: option("--chown="),
            source: source.to_owned(),
            target: target.to_owned(),
        };
        assert_eq!(
            options.len(),
            usize::from(copied.stage.is_some()) + usize::from(copied.owner.is_some()),
            "{text}"
        );
        copied
    }
}
