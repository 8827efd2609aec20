"""The steps in their order."""

from training.steps.deploy import DEPLOY
from training.steps.evaluate import EVALUATE
from training.steps.extract import EXTRACT
from training.steps.gate import GATE
from training.steps.package import PACKAGE
from training.steps.register import REGISTER
from training.steps.runner import Step
from training.steps.train import TRAIN
from training.steps.validate import VALIDATE

STEPS: tuple[Step, ...] = (EXTRACT, VALIDATE, TRAIN, EVALUATE, GATE, REGISTER, PACKAGE, DEPLOY)
STEP_NAMES = tuple(step.name for step in STEPS)
