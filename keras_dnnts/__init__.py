"""Two studies in Keras 3: CNNs trained from scratch on CIFAR-10, recurrent cells trained on surnames.

Importing this package makes torch Keras's backend unless ``KERAS_BACKEND`` names another one. It imports no engine:
Keras is loaded by the modules that need it.
"""

import os

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "torch")
