"""Where our own components live: name -> module, or module:attribute, imported when first used."""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "IF": "sj_neurons.neuron:IFNode",
    "LIF": "sj_neurons.neuron:LIFNode",
    "PLIF": "sj_neurons.neuron:ParametricLIFNode",
    # zoo
    "create_model": "sj_models.create",
    # backbones
    "BEiTPretrainViT": "sj_models.backbones.beit_vit",
    "BEiTViT": "sj_models.backbones.beit_vit",
    "MAEViT": "sj_models.backbones.mae_vit",
    "MobileNetV2": "sj_models.backbones.mobilenet_v2",
    "ResNet": "sj_models.backbones.resnet",
    "ResNet_CIFAR": "sj_models.backbones.resnet_cifar",
    "Spikformer": "sj_models.backbones.spikformer",
    "VisionTransformer": "sj_models.backbones.vision_transformer",
    # encoders
    "Latency": "sj_models.encoders",
    "Poisson": "sj_models.encoders",
    "Repeat": "sj_models.encoders",
    # tasks
    "BEiT": "sj_models.tasks.beit",
    "ImageClassifier": "sj_models.tasks.image_classifier",
    "ImageToImageRetriever": "sj_models.tasks.retriever",
    "MAE": "sj_models.tasks.mae",
    # data
    "ClsDataPreprocessor": "sj_models.preprocess",
    "CutMix": "sj_models.batch_augments",
    "Mixup": "sj_models.batch_augments",
    "RandomBatchAugment": "sj_models.batch_augments",
    "SelfSupDataPreprocessor": "sj_models.preprocess",
    "TwoNormDataPreprocessor": "sj_models.preprocess",
    # necks
    "BEiTV2Neck": "sj_models.necks.beit_v2",
    "ClsBatchNormNeck": "sj_models.necks.batch_norm",
    "GeneralizedMeanPooling": "sj_models.necks.generalized_mean_pooling",
    "GlobalAveragePooling": "sj_models.necks.global_average_pooling",
    "LinearNeck": "sj_models.necks.linear",
    "MAEPretrainDecoder": "sj_models.necks.mae_decoder",
    "NonLinearNeck": "sj_models.necks.nonlinear",
    # heads
    "BEiTV1Head": "sj_models.heads.beit",
    "BEiTV2Head": "sj_models.heads.beit",
    "ClsHead": "sj_models.heads.classification",
    "ContrastiveHead": "sj_models.heads.contrastive",
    "LinearClsHead": "sj_models.heads.linear",
    "MAEPretrainHead": "sj_models.heads.mae",
    "MIMHead": "sj_models.heads.masked_image",
    "SpikeCountHead": "sj_models.heads.spike_count",
    "VisionTransformerClsHead": "sj_models.heads.vision_transformer",
    # losses
    "CosineSimilarityLoss": "sj_models.losses.cosine",
    "CrossEntropyLoss": "sj_models.losses.cross_entropy",
    "FocalLoss": "sj_models.losses.focal",
    "L1Loss": "sj_models.losses.l1",
    "LabelSmoothLoss": "sj_models.losses.label_smooth",
    "PixelReconstructionLoss": "sj_models.losses.pixel_reconstruction",
    "SpikeRateLoss": "sj_models.losses.spike_rate",
    "TETLoss": "sj_models.losses.tet",
    # targets
    "HOGGenerator": "sj_models.targets.hog",
    "NormEMAVectorQuantizer": "sj_models.targets.vector_quantizer",
    "VQKD": "sj_models.targets.vqkd",
    # masks
    "BEiTMaskGenerator": "sj_models.masks",
    "SimMIMMaskGenerator": "sj_models.masks",
}
