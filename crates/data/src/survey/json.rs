//! A survey as JSON.

use serde_json::{Value, json};

use super::{Same, Survey};
use crate::detection::Fault;

/// Of longer lists, so many are shown; the counts are always of all.
const SHOWN: usize = 1000;

impl Survey {
    /// All that the survey found. Lists are cut to a thousand; each has its full count beside it.
    pub fn to_json(&self) -> Value {
        let problems = self.problems();
        let faults = |faults: &[Fault]| -> Value {
            faults.iter().take(SHOWN).map(|fault| json!({ "place": fault.place, "why": fault.why })).collect()
        };
        let same = |groups: &[Same]| -> Value { groups.iter().take(SHOWN).map(|same| self.same_json(same)).collect() };
        let sizes = self.sizes().map(|[width, height]| json!({ "width": width, "height": height }));
        let parts: Vec<Value> = self
            .parts
            .iter()
            .zip(self.part_rows())
            .zip(self.counts())
            .map(|((name, rows), counts)| json!({ "name": name, "rows": rows, "classes": counts }))
            .collect();
        let facts: serde_json::Map<String, Value> =
            self.facts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        json!({
            "path": self.root.display().to_string(),
            "convention": self.convention.word(),
            "unit": self.unit,
            "counted": if self.boxes.is_some() { "boxes" } else { self.unit },
            "classes": self.classes,
            "parts": parts,
            "sizes": sizes,
            "files": self.files.len(),
            "bytes": self.files.iter().map(|file| file.bytes).sum::<u64>(),
            "facts": facts,
            "broken_count": self.broken.len(), "broken": faults(&self.broken),
            "faults_count": self.faults.len(), "faults": faults(&self.faults),
            "copies_count": problems.copies.len(), "copies": same(&problems.copies),
            "leaks_count": problems.leaks.len(), "leaks": same(&problems.leaks),
            "contradictions_count": problems.contradictions.len(), "contradictions": same(&problems.contradictions),
            "doubtful_count": problems.doubtful.len(), "doubtful": same(&problems.doubtful),
            "notes": self.notes,
        })
    }

    fn same_json(&self, same: &Same) -> Value {
        let rows: Vec<Value> = same
            .rows
            .iter()
            .take(SHOWN)
            .map(|&row| {
                let row = &self.rows[row];
                let class = row.class.and_then(|class| self.classes.get(class));
                json!({ "id": row.id, "part": self.parts[row.part], "class": class })
            })
            .collect();
        json!({ "rows": rows, "correlation": same.correlation })
    }
}
