//! What follows from rows that are the same or look the same: copies, leaks between parts, labels that contradict each other.

use super::Survey;

/// Rows that belong together, and how alike they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Same {
    /// The rows, in ascending order.
    pub rows: Vec<usize>,
    /// Correlation of their thumbnails; `None` if their content is equal.
    pub correlation: Option<f64>,
}

/// What is wrong about rows that are alike. A group may be in several lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problems {
    /// Alike, and all within one part.
    pub copies: Vec<Same>,
    /// Alike, and in different parts: what is learned from one is measured on the other.
    pub leaks: Vec<Same>,
    /// Of equal content, and of different classes.
    pub contradictions: Vec<Same>,
    /// Alike without being equal, and of different classes.
    pub doubtful: Vec<Same>,
}

impl Survey {
    /// What is wrong about rows that are alike. Lines of texts may well be equal within a part, so that is left out.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        let exact = self.twins.exact.iter().map(|rows| Same { rows: rows.clone(), correlation: None });
        let near = self.twins.near.iter().map(|&(a, b, c)| Same { rows: vec![a, b], correlation: Some(c) });
        for same in exact.chain(near) {
            let differ = |of: &dyn Fn(usize) -> Option<usize>| {
                let mut known = same.rows.iter().filter_map(|&row| of(row));
                let first = known.next();
                known.any(|other| Some(other) != first)
            };
            let contradicts = differ(&|row| self.rows[row].class);
            if contradicts && same.correlation.is_none() {
                problems.contradictions.push(same.clone());
            } else if contradicts {
                problems.doubtful.push(same.clone());
            }
            if differ(&|row| Some(self.rows[row].part)) {
                problems.leaks.push(same);
            } else {
                problems.copies.push(same);
            }
        }
        problems
    }

    /// Rows (or boxes) of each class in each part, `[part][class]`.
    pub fn counts(&self) -> Vec<Vec<usize>> {
        if let Some(boxes) = &self.boxes {
            return boxes.clone();
        }
        let mut counts = vec![vec![0; self.classes.len()]; self.parts.len()];
        for row in &self.rows {
            if let Some(class) = row.class {
                counts[row.part][class] += 1;
            }
        }
        counts
    }

    /// Rows of each part.
    pub fn part_rows(&self) -> Vec<usize> {
        let mut counts = vec![0; self.parts.len()];
        self.rows.iter().for_each(|row| counts[row.part] += 1);
        counts
    }

    /// Least, median and greatest width, and the same of the heights, of all pictures.
    pub fn sizes(&self) -> Option<[[usize; 3]; 2]> {
        let sides = |side: fn((usize, usize)) -> usize| {
            let mut sides: Vec<usize> = self.rows.iter().filter_map(|row| row.size.map(side)).collect();
            sides.sort_unstable();
            Some([*sides.first()?, sides[sides.len() / 2], *sides.last()?])
        };
        Some([sides(|size| size.0)?, sides(|size| size.1)?])
    }
}
