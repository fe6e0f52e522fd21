"""The layer with which `fuse_adapters` replaces peft's; only it imports peft, which is optional."""

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor


class AdapterLinear(Linear):  # type: ignore[misc]
    """peft's linear layer with a LoRA adapter, whose output is added in one product."""

    def forward(self, x: Tensor, *arguments: object, **options: object) -> Tensor:
        """Return `base_layer(x)` plus the output of the adapter.

        Shapes:
            x: (..., in); returns: (..., out)
        """
        if arguments or options or not self._is_plain(x):
            result: Tensor = super().forward(x, *arguments, **options)
            return result
        (name,) = self.active_adapters
        if torch.is_autocast_enabled(x.device.type) and x.dtype == torch.float32:
            # Once, instead of in each of the two products.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        base: Tensor = self.base_layer(x)
        rows = base.reshape(-1, base.shape[-1])
        if not torch.is_autocast_enabled(x.device.type):
            x = self._cast_input_dtype(x, self.lora_A[name].weight.dtype)
        reduced = self.lora_A[name](self.lora_dropout[name](x)) * self.scaling[name]
        weight = self.lora_B[name].weight.to(base.dtype)
        total = torch.addmm(rows, reduced.reshape(len(rows), -1).to(base.dtype), weight.t())
        return total.view(base.shape)

    def _is_plain(self, x: Tensor) -> bool:
        """Whether one adapter without a bias adds to the product, on a device that computes."""
        names = self.active_adapters
        return (
            not self.disable_adapters
            and not self.merged
            and x.device.type != "meta"
            and len(names) == 1
            and names[0] in self.lora_A
            and names[0] not in self.lora_variant
            and self.lora_B[names[0]].bias is None
        )
