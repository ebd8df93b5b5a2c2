"""The known failures in one table, which reports, the printed checklist and the tests read.

The order is by suspicion: an entry can cause those below it, so a report lists it first. A *symptom* is what a
person notices; when a cause was found, the report lists the symptom after it.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from dataclasses import dataclass

__all__ = ["CATALOGUE", "GROUPS", "Entry"]

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
    sign: str  # what a user sees or hears
    evidence: str  # what is measured
    remedy: str  # in words; a finding gives the line of code
    symptom: bool = False

    @property
    def section(self) -> str:
        """The notebook, from the root of the project, and the heading that explains the failure."""
        notebook = "07_failures_in_training" if self.group == "E" else "06_failures_at_inference"
        return f"notebooks/{notebook}.ipynb#{self.id}"


# fmt: off
_ENTRIES = [  # id, group, title; sign; evidence; remedy
    # A
    Entry("weights-unsafe", "A", "A checkpoint that would run code",
          "none, until the code has run",
          "names of functions in the pickle, read without executing any",
          "ask for a .safetensors file or a plain state_dict"),
    Entry("weights-corrupt", "A", "A damaged file, or no checkpoint at all",
          "an error on loading; silence or NaN",
          "first bytes, size and checksums of the file; NaN or infinite weights",
          "take another checkpoint of the same run; a file from elsewhere: get it again and compare the size"),
    Entry("weights-unmatched", "A", "No weights were loaded",
          "both outputs sound alike, SI-SDRi near 0 dB or below; no error was shown",
          "share of layers with random initial values; prefix of the file's keys",
          "load with load_model: it finds the prefix, and loads strictly"),
    Entry("weights-partial", "A", "Some layers were not loaded",
          "separation is poor, hiss, or one output is dead",
          "layers with initial or constant values, missing in the file or of another shape",
          "find the checkpoint of this architecture; load strictly"),
    # B
    Entry("config-shape", "B", "An argument contradicts the weights",
          "size mismatch errors; with strict=False a network that is half random",
          "the argument, the shape of the tensor, the value that fits",
          "use the value that the shape gives"),
    # C
    Entry("not-finite", "C", "NaN or infinite samples",
          "outputs that are all NaN, silent files, a loss of NaN",
          "the number of such samples",
          "find their source; replace them by zeros"),
    Entry("channels", "C", "More than one channel",
          "an error, twice as many outputs, or one voice gone after averaging",
          "the number of channels and the correlation between them",
          "choose a channel; average only channels that agree"),
    Entry("silence", "C", "Silent mixture or source",
          "SI-SDR of -80 dB or NaN, gradients of NaN",
          "peak and energy of the mixture and of each reference",
          "leave silent examples out of scores and losses"),
    Entry("level", "C", "Level out of range",
          "saved files of noise; distortion; outputs alike",
          "peak, RMS, share of clipped samples, mean (DC offset)",
          "scale to -1 to 1, subtract the mean, record clipped audio again"),
    Entry("dead-output", "E", "One output stays silent",
          "the loss stays at one value for every example",
          "energy of each output over examples; a loss that jumps up and stays there",
          "resume from the best checkpoint with half the learning rate"),
    Entry("references-mismatch", "C", "References that do not belong to the mixture",
          "scores of a good separation are low; nothing can be heard",
          "the lag at which each reference fits the mixture, and how well; what their sum leaves of the mixture",
          "the sources of this mixture, at its rate, in place"),
    Entry("rate-mismatch", "C", "Sample rate differs from the model's",
          "slow deep or fast high voices; outputs close to the mixture",
          "rate in the file; highest frequency with energy; a better result at another rate",
          "resample to the model's rate"),
    Entry("polarity", "C", "Inverted polarity",
          "the recording sounds the same but separates far worse",
          "the same recording times -1 separates better",
          "multiply by -1; in training, invert the polarity at random"),
    Entry("train-serve-skew", "C", "Normalised in training but not at inference, or vice versa",
          "good scores in training, poor ones on the same audio at inference",
          "how much the estimates depend on the level; the level that separates best",
          "normalise at inference exactly as in training"),
    Entry("length", "C", "Too short or too long",
          "poor separation, or no memory left",
          "samples, seconds, frames against the chunk; memory of a window, and of one pass",
          "pad short audio; separate long audio in overlapping windows, as separate does by default"),
    # B again: found by running the model, so the audio must be in order first
    Entry("config-silent", "B", "A setting that no tensor shape reveals differs from training",
          "loads without an error and separates badly, artefacts at fixed frequencies",
          "candidates for stride, chunk size, mask, norm and encoder activation, ranked by remix consistency",
          "use the value that the model was trained with"),
    Entry("sources-count", "B", "More or fewer speakers than outputs",
          "one output faint or a part of the same voice; a third voice in both",
          "number of references or speakers; balance of the outputs, pauses in the mixture",
          "a model for that many speakers"),
    Entry("domain-mismatch", "B", "Noise, a room or a crowd unlike the training data",
          "outputs are near copies of the mixture, although nothing is broken",
          "the bundled mixtures separate well and this one does not; noise floor, decay, pauses",
          "train or fine-tune on such recordings; remove noise first"),
    Entry("unseen-speakers", "B", "Voices that the model does not know",
          "a clean recording separates poorly, although nothing is broken",
          "the bundled mixtures separate well and this one does not, without noise or echo; SI-SDRi",
          "a network trained on many voices; fine-tune on such voices"),
    # D
    Entry("late-estimates", "D", "Estimates that do not line up with the mixture",
          "very low scores and large gains for outputs that sound correct",
          "length and rate of the estimates; the lag at which each fits the mixture, and how well",
          "estimates of this mixture, at its rate, of its length, moved by the lag"),
    Entry("one-speaker", "D", "One voice over two outputs",
          "both outputs are parts of one voice, or one is noise",
          "pauses and pitch of the mixture and of the outputs' sum; steady noise in an output",
          "one person needs no separation; count the people before"),
    Entry("permutation-flip", "D", "Speakers swap within the recording",
          "an output starts with one speaker and continues with the other",
          "which output is closer to which voice, in short windows",
          "separate the whole recording with separate, which tracks speakers across its windows"),
    Entry("seam-artefact", "D", "Windows joined without overlap",
          "clicks or changes of level at regular intervals",
          "jumps of the waveform at multiples of one length, compared with all other places",
          "separate the whole recording with separate, whose windows overlap and cross-fade"),
    Entry("relative-level-lost", "D", "Each output normalised on its own",
          "the quiet speaker is as loud as the loud one",
          "equal peaks, and gains that differ when the outputs are fitted to the mixture",
          "least-squares gains to the mixture, or one gain for all"),
    Entry("scale-free", "D", "The level of the outputs is arbitrary",
          "clipped files, or an inaudible output",
          "peak, clipped share, the gains that fit the outputs to the mixture",
          "least-squares gains to the mixture"),
    Entry("order-arbitrary", "D", "Scored in the wrong order, or with the wrong sign",
          "very low scores for outputs that sound correct",
          "the score with and without the best order",
          "score under the best permutation"),
    # E
    Entry("sign-of-loss", "E", "A loss with its sign turned",
          "the loss falls and falls, and the outputs get worse than noise",
          "the loss on a path from noise to the targets, which must fall",
          "minimise the negative of a ratio in dB: -SI-SDR, not SI-SDR"),
    Entry("detached-loss", "E", "A loss that no gradient leaves",
          "the loss stays where it started, or backward() raises an error",
          "the loss of estimates of any quality; the gradient that arrives at each output",
          "keep tensors from the model to backward(): no detach, item, data, NumPy or no_grad between"),
    Entry("pit-wrong-axis", "E", "The minimum of the PIT loss over the wrong axis",
          "a loss better than any example's, or no learning",
          "the loss of probes whose correct value is known",
          "average over sources, minimise over permutations, then average over the batch"),
    Entry("no-pit", "E", "No permutation-invariant loss",
          "the loss stays near 0 dB, outputs alike",
          "the loss of correct estimates in swapped order",
          "wrap the loss in PITLossWrapper"),
    Entry("silent-target", "E", "Near-silent targets in the batches",
          "single examples at about +35 dB (one of two targets is silent), or NaN",
          "energy of each target; loss per example",
          "draw another segment when a target is silent"),
    Entry("targets-inconsistent", "E", "Sources that do not sum to the mixture",
          "the loss stops at a ceiling",
          "largest difference between mixture and sum of sources; the SI-SDR ceiling it sets",
          "scale and clip the sources first, sum them last"),
    Entry("same-speaker", "E", "Both sources from one speaker",
          "examples that can't be learned, a long tail of bad scores",
          "speaker names; correlation between the sources",
          "draw two different speakers"),
    Entry("leakage", "E", "Test audio among the training audio",
          "implausibly high test scores",
          "equal audio under any name, by hash; equal utterances or speaker names",
          "split by utterance, better by speaker, before mixing"),
    Entry("nan-run", "E", "A run that went to NaN",
          "from one step on the loss is NaN, and every output too",
          "the first step whose loss or gradient norm is NaN or infinite, and the rows before it",
          "resume from the last checkpoint before that step with half the learning rate; look at the batch"),
    Entry("learning-rate", "E", "A learning rate too high or too low",
          "the loss stays at 0 dB, or falls very slowly",
          "the learning rate against the usual range; the loss after the first steps",
          "1e-3 with a warm-up; a short range test"),
    Entry("no-clipping", "E", "Exploding gradients",
          "the loss jumps and stays; NaN",
          "gradient norm against its median, and the loss after it",
          "clip the gradient norm at 5"),
    Entry("resume", "E", "Resumed without the optimiser's state",
          "the loss jumps where the run was resumed",
          "the loss before and after; optimiser state in the checkpoint",
          "resume from a whole training checkpoint"),
    Entry("overfit", "E", "Overfitting to a fixed list of mixtures",
          "training loss falls, validation loss does not",
          "the gap between the two, and its growth",
          "mix on the fly: new segments, pairs and levels in every epoch"),
    Entry("chunk-size", "E", "A chunk far from the square root of twice the frames",
          "training is slow or needs much memory; the result is no worse",
          "steps of the longer of the two RNNs, against the shortest possible",
          "chunk_size near sqrt(2 L), when time or memory is short"),
    Entry("eval-mode", "E", "Training mode: dropout, or batch norm of the batch",
          "two runs on the same mixture differ, or the result depends on the rest of the batch",
          "the difference between two passes, and between a mixture alone and in a batch",
          "model.eval()"),
    Entry("unhealthy-curve", "E", "A run that learns slower than healthy ones",
          "it is unclear what loss to expect after 600 steps",
          "the curve against a band of healthy runs of a small model",
          "check data and loss first: play a batch", symptom=True),
    Entry("plateau-reading", "E", "A mean that hides two clusters",
          "the loss stays near -10",
          "scores per kind of pair and per example; SI-SDR against SI-SDRi",
          "report SI-SDRi per kind of pair, with a histogram"),
    # D again: the complaint itself
    Entry("outputs-alike", "D", "The outputs sound the same",
          "two output files that sound identical",
          "correlation and SI-SDR between the outputs, and of each with the mixture",
          "fix the cause; if none is found, compare with the model's own outputs", symptom=True),
]
# fmt: on
CATALOGUE = {entry.id: entry for entry in _ENTRIES}
