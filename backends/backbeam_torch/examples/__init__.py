"""Programs that need PyTorch; `backbeam examples` lists them, ``python -m backbeam_torch.examples.NAME`` runs one."""
