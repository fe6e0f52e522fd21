"""What transformers' Trainer calls the settings of a training, and what they are called here.

Users of Trainer know its names by heart. One of them is answered with the setting that it
stands for, wherever it is written: as a setting, as a keyword argument, as an option. Names
are not taken as aliases, because many differ in what they count: Trainer's batch size is a
number of sentences per device, ours a number of tokens over all devices.
"""

# The setting for each name, with what differs, if something does.
SETTINGS = {
    "num_train_epochs": "training.epochs",
    "max_steps": "training.steps",
    "learning_rate": "training.learning_rate",
    "weight_decay": "training.weight_decay",
    "warmup_steps": "training.warmup_steps, a number of steps",
    "warmup_ratio": "training.warmup_steps, a number of steps",
    "adam_beta1": "training.betas, the first of two numbers",
    "adam_beta2": "training.betas, the second of two numbers",
    "max_grad_norm": "training.max_grad_norm, for the loss in nats per sentence",
    "per_device_train_batch_size": "training.batch_sentences, over all devices, or "
    "training.batch_tokens, the most tokens per batch",
    "per_gpu_train_batch_size": "training.batch_sentences, over all devices",
    "gradient_accumulation_steps": "training.accumulate",
    "bf16": "training.bf16",
    "fp16": "training.bf16; there is no training in fp16",
    "torch_compile": "training.compile",
    "gradient_checkpointing": "model.decoder.gradient_checkpointing or "
    "model.encoder.gradient_checkpointing, of a pretrained part",
    "activation_checkpointing": "model.decoder.gradient_checkpointing or "
    "model.encoder.gradient_checkpointing, of a pretrained part",
    "logging_steps": "training.logging_steps",
    "report_to": "training.trackers",
    "eval_steps": "training.evaluations, how many a run has, or training.evaluate_steps in a run "
    "without training.steps, training.epochs and training.max_minutes",
    "save_steps": "training.evaluations: each evaluation saves a checkpoint",
    "load_best_model_at_end": "training.keep",
    "seed": "training.seed",
    "data_seed": "training.seed",
    "dataloader_num_workers": "training.workers",
    "early_stopping_patience": "training.patience, in a run without training.steps, "
    "training.epochs and training.max_minutes; or an EarlyStoppingCallback among the callbacks",
    "push_to_hub": "training.push_to_hub",
    "hub_model_id": "training.hub_model_id",
    "hub_strategy": "training.hub_strategy",
    "hub_private_repo": "training.hub_private_repo",
    "hub_revision": "training.hub_revision",
    "hub_always_push": "training.hub_always_push",
    "label_names": "data.label",
    "max_length": "data.max_tokens",
    "max_seq_length": "data.max_tokens",
}

# The argument of `textvae.train` for each name, and the option of `textvae train`.
ARGUMENTS = {
    "output_dir": "output (--output)",
    "overwrite_output_dir": "overwrite (--overwrite)",
    "resume_from_checkpoint": "resume (--resume), which finds the newest checkpoint itself",
    "use_cpu": 'device="cpu" (--device cpu)',
    "no_cuda": 'device="cpu" (--device cpu)',
    "disable_tqdm": "progress (--quiet)",
    "log_level": "the logger named textvae of Python's logging (--quiet)",
    "train_dataset": "corpus",
    "eval_dataset": 'corpus, a mapping with the splits "train" and "validation"',
    "processing_class": "tokenizer, settings as a mapping",
    "args": "config, overrides, and the sections of settings",
    "compute_loss_func": "trainer, a subclass of VAETrainer",
    "optimizers": "trainer, a subclass of VAETrainer",
}

# Arguments of Trainer for which there is nothing here.
UNUSED = {
    "accelerator_config",
    "adam_epsilon",
    "auto_find_batch_size",
    "average_tokens_across_devices",
    "batch_eval_metrics",
    "bf16_full_eval",
    "compute_metrics",
    "data_collator",
    "dataloader_drop_last",
    "dataloader_in_order",
    "dataloader_multiprocessing_context",
    "dataloader_persistent_workers",
    "dataloader_pin_memory",
    "dataloader_prefetch_factor",
    "ddp_backend",
    "ddp_broadcast_buffers",
    "ddp_bucket_cap_mb",
    "ddp_find_unused_parameters",
    "ddp_static_graph",
    "ddp_timeout",
    "debug",
    "deepspeed",
    "do_eval",
    "do_predict",
    "do_train",
    "enable_jit_checkpoint",
    "eval_accumulation_steps",
    "eval_delay",
    "eval_do_concat_batches",
    "eval_on_start",
    "eval_strategy",
    "eval_use_gather_object",
    "fp16_full_eval",
    "fsdp",
    "fsdp_config",
    "full_determinism",
    "activation_checkpointing_kwargs",
    "gradient_checkpointing_kwargs",
    "greater_is_better",
    "group_by_length",
    "hub_token",
    "ignore_data_skip",
    "include_for_metrics",
    "include_num_input_tokens_seen",
    "jit_mode_eval",
    "label_smoothing_factor",
    "length_column_name",
    "liger_kernel_config",
    "local_rank",
    "log_level_replica",
    "log_on_each_node",
    "logging_dir",
    "logging_first_step",
    "logging_nan_inf_filter",
    "logging_strategy",
    "lr_scheduler_kwargs",
    "lr_scheduler_type",
    "metric_for_best_model",
    "model_init",
    "neftune_noise_alpha",
    "optim",
    "optim_args",
    "optim_target_modules",
    "optimizer_cls_and_kwargs",
    "parallelism_config",
    "per_device_eval_batch_size",
    "per_gpu_eval_batch_size",
    "prediction_loss_only",
    "preprocess_logits_for_metrics",
    "project",
    "remove_unused_columns",
    "restore_callback_states_from_checkpoint",
    "run_name",
    "save_on_each_node",
    "save_only_model",
    "save_safetensors",
    "save_strategy",
    "save_total_limit",
    "skip_memory_metrics",
    "tf32",
    "torch_compile_backend",
    "torch_compile_mode",
    "torch_empty_cache_steps",
    "trackio_bucket_id",
    "trackio_space_id",
    "trackio_static_space_id",
    "train_sampling_strategy",
    "use_cache",
    "use_legacy_prediction_loop",
    "use_liger_kernel",
    "use_mps_device",
}


def _describe(name: str) -> str:
    """Return what to write in place of a name of Trainer's."""
    if name in SETTINGS:
        return f"transformers' Trainer has it; here it is {SETTINGS[name]}."
    if name in ARGUMENTS:
        return f"transformers' Trainer has it; here it is an argument of train: {ARGUMENTS[name]}."
    return "transformers' Trainer has it, and nothing here corresponds to it: leave it out."


# What to say about each name, for an error message.
TRAINER_NAMES = {name: _describe(name) for name in (*SETTINGS, *ARGUMENTS, *sorted(UNUSED))}


def describe_trainer_option(option: str) -> str | None:
    """Return what to write in place of an option such as `--num_train_epochs`, or None."""
    return TRAINER_NAMES.get(option.lstrip("-").replace("-", "_"))
