"""A folder of images and money for some labels: embed, select, label, train, predict."""

from skal.labeling._errors import NothingToDoError, ProjectInUseError
from skal.labeling._exchange import ImportReport
from skal.labeling._images import Changes, ImageFile
from skal.labeling._labels import QueuedImage
from skal.labeling._model import TrainedModel
from skal.labeling._plan import Plan
from skal.labeling._predictions import Predictions
from skal.labeling._problems import RULES, Problems
from skal.labeling._project import LabelingProject
from skal.labeling._scores import Evaluation, Mistake
from skal.labeling._settings import Settings
from skal.labeling._status import ProjectStatus
from skal.labeling._suggestions import Suggestions

__all__ = [
    "RULES",
    "Changes",
    "Evaluation",
    "ImageFile",
    "ImportReport",
    "LabelingProject",
    "Mistake",
    "NothingToDoError",
    "Plan",
    "Predictions",
    "Problems",
    "ProjectInUseError",
    "ProjectStatus",
    "QueuedImage",
    "Settings",
    "Suggestions",
    "TrainedModel",
]
