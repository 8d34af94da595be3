"""Writes the event file that crates/train/src/tensorboard/record.rs is compared with, by TensorBoard's own classes.

Run: pip install tensorboard==2.21.0; python tests/golden/events.py
"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

events = [
    Event(wall_time=1.5, file_version="brain.Event:2"),
    Event(wall_time=2.0, step=300, session_log=SessionLog(status=SessionLog.START)),
    Event(
        wall_time=2.5,
        step=300,
        summary=Summary(
            value=[Summary.Value(tag="loss", simple_value=0.125), Summary.Value(tag="lr", simple_value=1e-3)]
        ),
    ),
    Event(
        wall_time=3.0,
        step=0,
        summary=Summary(
            value=[
                Summary.Value(
                    tag="first batch",
                    image=Summary.Image(
                        height=2, width=300, colorspace=3, encoded_image_string=b"\x89PNG and so on"
                    ),
                )
            ]
        ),
    ),
]
path = Path(__file__).parents[2] / "crates/train/src/tensorboard/golden.tfevents"
with open(path, "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    writer.flush()
