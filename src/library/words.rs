//! The vocabulary of a generated library; all invented.

/// A category and its subcategories.
pub(super) type Category = (&'static str, [&'static str; 4]);

/// More than characters of ASCII, and characters that HTML must escape: both stores must answer them alike.
pub(super) const CATEGORIES: [Category; 10] = [
    ("Workshop & Tools", ["Hand Planes", "Sharpening", "Joinery", "Lathes & Turning"]),
    ("Night Sky", ["Planets", "Telescopes", "Variable Stars", "Comets & Meteors"]),
    ("Bread & Ovens", ["Sourdough", "Rye", "Wood-Fired Ovens", "Pâte Feuilletée"]),
    ("Old Railways", ["Signalling", "Narrow Gauge", "Steam Sheds", "Viaducts"]),
    ("Home Networks", ["Routers", "Cabling", "Self-Hosting", "Backups & Snapshots"]),
    ("Gardens", ["Pruning", "Compost", "Greenhouses", "Heirloom Seeds"]),
    ("Maps & Surveying", ["Triangulation", "Sea Charts", "Relief Drawing", "Place Names"]),
    ("Instruments", ["Violin Making", "Pipe Organs", "Tuning & Temperament", "Reeds"]),
    ("Languages", ["Grammar", "Scripts", "Dialects", "Sign Languages"]),
    ("Tides & Coasts", ["Lighthouses", "Salt Marshes", "Harbours", "Ferries"]),
];

pub(super) const CHANNELS: [&str; 28] = [
    "The Bench Hook",
    "Slow Shutter Astronomy",
    "Crumb & Crust",
    "Branch Line Archive",
    "Patch Panel",
    "Rhubarb Hour",
    "Contour Interval",
    "Equal Temper",
    "Loanwords Weekly",
    "Ebb Table",
    "Dovetail Diaries",
    "Averted Vision",
    "Hydration 78",
    "Semaphore & Block",
    "Uplink",
    "Cold Frame",
    "Plumb Bob",
    "Atelier Brüning",
    "Ümlaut",
    "Marsh Warden",
    "Shavings",
    "Dark Site",
    "Levain Lab",
    "Footplate",
    "Rack & Stack",
    "Leaf Mould",
    "True North?",
    "Channel Nº 9",
];

pub(super) const OPENINGS: [&str; 12] = [
    "Why nobody talks about",
    "A patient introduction to",
    "I was wrong about",
    "Ten quiet facts on",
    "The long history of",
    "Fixing",
    "What beginners miss in",
    "An afternoon with",
    "Measuring",
    "The “simple” trick behind",
    "How to start with",
    "Revisiting",
];

pub(super) const ENDINGS: [&str; 14] = [
    "",
    " – explained",
    ": part 2",
    " (and why it works)",
    " on a small budget",
    " in under 20 minutes",
    ", step by step",
    " before 1900",
    " & what comes next",
    " <live>",
    " 🎧",
    ": a correction",
    " without special tools",
    "?",
];

pub(super) const TOPICS: [&str; 24] = [
    "grain-direction",
    "honing-angle",
    "light-pollution",
    "apparent-magnitude",
    "oven-spring",
    "starter-maintenance",
    "token-working",
    "loading-gauge",
    "vlan-basics",
    "cold-storage",
    "winter-pruning",
    "soil-structure",
    "baseline-error",
    "chart-datum",
    "wolf-interval",
    "bow-hair",
    "vowel-shift",
    "runic-inscriptions",
    "spring-tide",
    "fresnel-lens",
    "cost-of-tools",
    "reading-list",
    "field-notes",
    "common-mistakes",
];

pub(super) const SENTENCES: [&str; 14] = [
    "Start with what you can measure, then change one thing at a time.",
    "The cheap version is good enough for the first year.",
    "Most failures shown here come from haste, not from material.",
    "A short table compares three methods; the second wins on repeatability.",
    "Old catalogues agree with the recent measurements to within 3 %.",
    "The maker’s own notes contradict the popular account.",
    "Two counter-examples are shown at the end & both are convincing.",
    "Keep a log: date, weather, setting, result.",
    "What looks like an ornament turns out to carry load.",
    "The vidéo closes with a list of sources.",
    "Safety first: gloves on, guard down, power off.",
    "If x < y the method fails silently; test before you rely on it.",
    "Nothing here needs more than a vice and a lamp.",
    "The last third answers questions from viewers.",
];

pub(super) const CONTENT_TYPES: [&str; 7] =
    ["Discussion", "Discussion", "Discussion", "Tutorial", "Review", "Documentary", "News"];

pub(super) const COMPLEXITIES: [&str; 5] =
    ["Intermediate", "Intermediate", "Intermediate", "Beginner", "Advanced"];

pub(super) const LANGUAGES: [&str; 12] =
    ["en", "en", "en", "en", "en", "en", "en", "en", "en", "de", "fr", "es"];

/// As the dashboard names them, most frequent first.
pub(super) const SUMMARY_KINDS: [&str; 6] =
    ["audio", "audio", "audio", "comprehensive", "audio-fr", "bullet-points"];

pub(super) const VARIANT_KINDS: [&str; 4] = ["comprehensive", "key-insights", "bullet-points", "audio"];
