"""The failures that this course knows, in one table. Reports, the printed checklist and the tests read it.

The order is the order of suspicion: what stands higher can cause what stands lower, so a report names it
first. A *symptom* is what a person notices; it never stands alone in a report when a cause was found.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from dataclasses import dataclass, field

__all__ = ["CATALOGUE", "Entry", "Finding", "GROUPS", "STATES"]

GROUPS = {
    "A": "Weights",
    "B": "Configuration",
    "C": "Input audio",
    "D": "Outputs",
    "E": "Training",
}


@dataclass(frozen=True)
class Entry:
    """One failure."""

    id: str
    group: str  # a key of GROUPS
    title: str
    sign: str  # what one sees or hears
    evidence: str  # what is measured
    remedy: str  # what to do, in words; a finding gives the line of code
    symptom: bool = False

    @property
    def section(self) -> str:
        """Where to read on: the notebook, from the root of the project, and the heading of its scene."""
        notebook = "07_failures_in_training" if self.group == "E" else "06_failures_at_inference"
        return f"notebooks/{notebook}.ipynb#{self.id}"


_ENTRIES = [
    # A
    Entry(
        "weights-unsafe",
        "A",
        "A checkpoint that would run code",
        "nothing at all, until it has run",
        "the names of functions in the pickle, read without carrying any out",
        "ask for a .safetensors file or a plain state_dict",
    ),
    Entry(
        "weights-corrupt",
        "A",
        "A damaged file, or no checkpoint at all",
        "an error on loading; silence or NaN",
        "the first bytes, size and checksums of the file; weights that are NaN, infinite",
        "download again and compare the size; take an earlier checkpoint",
    ),
    Entry(
        "weights-unmatched",
        "A",
        "No weight was loaded",
        "both outputs sound alike, SI-SDRi near 0 dB or below; no error was shown",
        "the share of layers still at their random start; the prefix of the file's keys",
        "load with load_model, which finds the prefix and is strict",
    ),
    Entry(
        "weights-partial",
        "A",
        "Some layers were not loaded",
        "separation is poor, hiss, or one output is dead",
        "layers still at their random start, constant, missing in the file or of another shape",
        "find the checkpoint that belongs to the architecture; load strictly",
    ),
    # B
    Entry(
        "config-shape",
        "B",
        "An argument contradicts the weights",
        "size mismatch errors; with strict=False a network that is half random",
        "the argument, the shape of the tensor, the value that fits",
        "use the value that the shape gives",
    ),
    # C
    Entry(
        "not-finite",
        "C",
        "NaN or infinity among the samples",
        "outputs that are all NaN, silent files, a loss of NaN",
        "the number of such samples",
        "find out what produced them; replace them by zeros",
    ),
    Entry(
        "channels",
        "C",
        "More than one channel",
        "an error, twice as many outputs, or one voice gone after averaging",
        "the number of channels and the correlation between them",
        "choose a channel; average only channels that agree",
    ),
    Entry(
        "silence",
        "C",
        "Nothing to hear in the mixture or in a source",
        "SI-SDR of -80 dB or NaN, gradients of NaN",
        "peak and energy of the mixture and of each reference",
        "leave silent examples out of scores and losses",
    ),
    Entry(
        "level",
        "C",
        "A level out of range",
        "saved files that are all noise; distortion; outputs alike",
        "peak, RMS, share of clipped samples, mean (DC offset)",
        "scale to -1 to 1, take the mean off, record again what is clipped",
    ),
    Entry(
        "dead-output",
        "E",
        "One output is silent for good",
        "the loss sits at one value for every example",
        "energy of each output over examples; a loss that jumps up and stays there",
        "go back to the best checkpoint with half the learning rate",
    ),
    Entry(
        "rate-mismatch",
        "C",
        "Another sample rate than the model's",
        "slow deep or fast high voices; outputs near to the mixture",
        "the rate in the file; the highest frequency with energy; a better result at another rate",
        "resample to the model's rate",
    ),
    Entry(
        "polarity",
        "C",
        "The waveform is upside down",
        "sounds the same, separates far worse",
        "the same recording times -1 separates better",
        "multiply by -1; when training, flip the sign at random",
    ),
    Entry(
        "train-serve-skew",
        "C",
        "Normalised in training and not in use, or the other way",
        "good scores in training, poor ones on the same audio in use",
        "how much the estimates change with the level, and the level that separates best",
        "do in use exactly what training did to the mixture",
    ),
    Entry(
        "length",
        "C",
        "Too short or too long",
        "poor separation, or no memory left",
        "samples, seconds, frames against the chunk, memory needed",
        "pad what is short; cut what is long into overlapping windows",
    ),
    # B again: these are found by listening, so the audio must be in order first
    Entry(
        "config-silent",
        "B",
        "A setting that no weight's shape shows differs from training",
        "loads without an error and separates badly, artefacts at fixed frequencies",
        "candidates for stride, chunk, mask, norm and encoder activation, ranked by how well the model "
        "finds its own estimates again",
        "give the value that the model was trained with",
    ),
    Entry(
        "sources-count",
        "B",
        "More or fewer people than outputs",
        "one output faint or a part of the same voice; a third voice in both",
        "the number of references or of people heard; the balance of the outputs, pauses in the mixture",
        "a model for that many speakers",
    ),
    Entry(
        "domain-mismatch",
        "B",
        "A recording unlike all of the training",
        "outputs are near copies of the mixture, and nothing is broken",
        "the bundled mixtures separate well and this one does not; noise floor, decay, spectrum",
        "train or fine-tune on such recordings; remove noise first",
    ),
    # D
    Entry(
        "permutation-flip",
        "D",
        "Speakers swap within the recording",
        "each output holds one person first and the other after a while",
        "which output is nearer to which voice, second by second",
        "align neighbouring windows over their overlap",
    ),
    Entry(
        "seam-artefact",
        "D",
        "Windows joined without overlap",
        "clicks or changes of level at regular times",
        "jumps of the waveform at multiples of one length, against all other places",
        "overlapping windows with a fade between them",
    ),
    Entry(
        "relative-level-lost",
        "D",
        "Each output normalised on its own",
        "the quiet speaker is as loud as the loud one",
        "equal peaks, and gains that differ when the outputs are fitted to the mixture",
        "least-squares gains to the mixture, or one gain for all",
    ),
    Entry(
        "scale-free",
        "D",
        "The level of the outputs is arbitrary",
        "clipped files, or an output that nobody can hear",
        "peak, clipped share, the gains that fit the outputs to the mixture",
        "least-squares gains to the mixture",
    ),
    Entry(
        "order-arbitrary",
        "D",
        "Scored in the wrong order, or with the wrong sign",
        "very low scores for outputs that sound right",
        "the score with and without the best order",
        "score under the best permutation",
    ),
    # E
    Entry(
        "pit-wrong-axis",
        "E",
        "The minimum of the PIT loss over the wrong axis",
        "a loss better than any example's, or no learning",
        "the loss of probes whose right value is known",
        "average over sources, minimise over permutations, then average over the batch",
    ),
    Entry(
        "no-pit",
        "E",
        "No permutation-invariant loss",
        "the loss stays near 0 dB, outputs alike",
        "the loss of right estimates in the other order",
        "wrap the loss in PITLossWrapper",
    ),
    Entry(
        "silent-target",
        "E",
        "Near-silent targets in the batches",
        "a loss of +60 to +80 dB or NaN now and then",
        "energy of each target; loss per example",
        "draw another segment when a target is silent",
    ),
    Entry(
        "targets-inconsistent",
        "E",
        "Sources that do not sum to the mixture",
        "the loss stops at a ceiling",
        "largest difference between mixture and sum, and the SI-SDR that is left",
        "scale and clip first, take the sum last",
    ),
    Entry(
        "same-speaker",
        "E",
        "Both sources from one speaker",
        "examples that can't be learned, a long tail of bad scores",
        "speaker names; correlation between the sources",
        "draw two different speakers",
    ),
    Entry(
        "leakage",
        "E",
        "Test audio among the training audio",
        "test scores that nobody else reaches",
        "the same audio under any name, by hash; the same utterance or speaker names",
        "split by utterance, better by speaker, before mixing",
    ),
    Entry(
        "learning-rate",
        "E",
        "A learning rate too high or too low",
        "the loss never leaves 0 dB, or creeps",
        "the rate that was used against the usual range, and the loss after the first steps",
        "1e-3 with a warm-up; a short range test",
    ),
    Entry(
        "no-clipping",
        "E",
        "Exploding gradients",
        "the loss jumps and stays; NaN",
        "gradient norm against its median, and what the loss does then",
        "clip the gradient norm at 5",
    ),
    Entry(
        "resume",
        "E",
        "Resumed without the optimiser's state",
        "the loss jumps where the run was resumed",
        "the loss before and after; the optimiser's state in the checkpoint",
        "resume from a whole training checkpoint",
    ),
    Entry(
        "overfit",
        "E",
        "A fixed list of mixtures, learned by heart",
        "training loss falls, validation loss does not",
        "the gap between the two, and its growth",
        "mix on the fly: other segments, pairs and levels in every epoch",
    ),
    Entry(
        "chunk-size",
        "E",
        "A chunk far from the square root of twice the frames",
        "training is slow, needs memory, learns little",
        "steps of the longer of the two RNNs against the best choice",
        "chunk_size near sqrt(2 L)",
    ),
    Entry(
        "eval-mode",
        "E",
        "Dropout left on",
        "two runs on the same mixture differ",
        "the difference between two passes",
        "model.eval()",
    ),
    Entry(
        "unhealthy-curve",
        "E",
        "A run that learns slower than healthy ones",
        "nobody says what loss to expect after 600 steps",
        "the curve against a band of healthy runs of a small model",
        "look at data and loss first: listen to a batch",
        symptom=True,
    ),
    Entry(
        "plateau-reading",
        "E",
        "A mean that hides two kinds of result",
        "the loss stays near -10",
        "scores per kind of pair and per example; SI-SDR against SI-SDRi",
        "report SI-SDRi per kind of pair, with a histogram",
    ),
    # D again: the complaint itself
    Entry(
        "outputs-alike",
        "D",
        "The outputs sound the same",
        "two files that nobody can tell apart",
        "correlation and SI-SDR between the outputs, and of each with the mixture",
        "mend the cause; with none found, compare with what the model itself puts out",
        symptom=True,
    ),
]
CATALOGUE = {entry.id: entry for entry in _ENTRIES}


STATES = ("fail", "warn", "undecided", "ok")  # in the order of a report


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    ``state`` is "fail" (broken, and this is why), "warn" (look at it), "ok", or "undecided" (what was brought
    does not tell; ``bring`` says what would).
    """

    id: str
    state: str
    says: str  # one sentence, with the numbers that matter
    evidence: dict[str, object] = field(default_factory=dict)  # numbers and names, JSON's types
    threshold: str = ""  # where the line is, and why there
    remedy: str = ""  # a line of code over the names model, mixture, sample_rate, estimates, references ...
    bring: str = ""  # for "undecided"
    explained_by: str | None = None  # the id of the cause, for what follows from another finding

    @property
    def entry(self) -> Entry:
        """Its place in the catalogue."""
        return CATALOGUE[self.id]

    @property
    def title(self) -> str:
        """The failure's name for people."""
        return self.entry.title

    @property
    def section(self) -> str:
        """Where to read on."""
        return self.entry.section

    @property
    def bad(self) -> bool:
        """Whether it is a failure or a warning."""
        return self.state in ("fail", "warn")
