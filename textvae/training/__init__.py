"""Training: from a corpus and settings to a finished run folder.

train.py             the entry point: check the request, lock the run, prepare it, train it
staging.py           create a run folder, which appears only once it is complete
preparation.py       what a run folder needs: corpus, tokenizer, initial model, settings
bases.py             the pretrained models that the parts of a new run start from
fit.py               train a prepared run, and save the best model
frozen_states.py     the states of frozen parts of the model, computed once for the corpus
trainer.py           the training loop, a subclass of transformers' `Trainer`
schedule.py          progress, learning rate, and the end of a run
callbacks.py         when to evaluate, save and stop; the output on the console
optimizer.py         AdamW, and the clipping of gradients
meter.py             averages of the loss terms for the log
encoder_training.py  additional steps of the encoder alone, for techniques that need them
decoder_restart.py   fresh weights for the decoder after pretraining
fsdp.py              settings of sharded training
checkpoints.py       write checkpoints atomically, and find the newest complete one
failures.py          error messages for a full disk and for lost processes
hub_uploads.py       push a run to the Hugging Face Hub while it trains
progress_log.py      the log of an unfinished run, for those who watch it
sample_tables.py     samples and reconstructions at each evaluation
trackers.py          TensorBoard and other experiment trackers
model_card.py        the README.md of a run
"""
