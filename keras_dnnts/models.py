"""The models of all studies. Importing this module lets Keras load what any of their runs has saved."""

from keras_dnnts.registry import all_studies

for study in all_studies():
    study.register_layers()
