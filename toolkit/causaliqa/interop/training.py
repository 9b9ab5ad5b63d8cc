"""What pyiqa's metrics were fitted to: data sets of human opinions by metric, with the year and the source.

A data set counts if opinions in it decided a value of what pyiqa computes: the weights of a network, or constants that
the authors say they chose by the agreement with it. Features trained on other labels (ImageNet, CLIP) and statistics of
pristine images do not count. ``None`` means that no source says it. The year is that of the first publication, be it a
preprint. Where pyiqa trained a network itself, the source names pyiqa's file of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["TRAINING", "Training"]


class Training(NamedTuple):
    """What one metric was fitted to."""

    trained_on: tuple[str, ...] | None
    """Data sets; empty if there are none, None if unknown."""
    year: int | None
    """Year of the first publication; None for closed forms without one, or if unknown."""
    source: str
    """Where that is said: paper, project, pyiqa's weights or configuration."""


_PYIQA = "https://github.com/chaofengc/IQA-PyTorch"
_FORMULA = f"closed form, nothing to fit: {_PYIQA}"
_SIX = "live csiq kadid10k bid livec koniq10k"
_TOPIQ = "arXiv:2308.03060; pyiqa's weights "
_CLIPIQA = "arXiv:2207.12396; pyiqa's model_type "
_ARNIQA = "arXiv:2310.14918 (encoder without opinions); pyiqa's regressor_dataset "
_QUALICLIP = "arXiv:2403.11176; pyiqa's weights QualiCLIP+_"
_MUSIQ = "arXiv:2108.05997; pyiqa's weights musiq_"
_LPIPS = "arXiv:1801.03924; pyiqa's weights LPIPS_v0.1_"
_AFINE = "arXiv:2503.11221; https://github.com/ChrisDud0257/AFINE, TrainAFINE/README.md"
_QALIGN = "arXiv:2312.17090; https://huggingface.co/q-future/one-align (IQA + IAA + VQA)"
_QREALIGN = "https://github.com/Q-Future/Q-ReAlign: not said for the published checkpoints"
_FGRESQ = "arXiv:2508.14475; https://github.com/sxfly99/FGResQ"

_TABLE: tuple[tuple[str, str | None, int | None, str], ...] = (
    # Full reference, formulas.
    ("psnr", "", None, _FORMULA),
    ("psnry", "", None, _FORMULA),
    ("ssim", "", 2004, "doi:10.1109/TIP.2003.819861"),
    ("ssimc", "", 2004, "doi:10.1109/TIP.2003.819861"),
    ("ms_ssim", "", 2003, "doi:10.1109/ACSSC.2003.1292216; exponents: synthesised images, no published data set"),
    ("cw_ssim", "", 2009, "doi:10.1109/TIP.2009.2025923"),
    ("fsim", "tid2008", 2011, "doi:10.1109/TIP.2011.2109730; constants tuned on 544 images of TID2008"),
    ("vsi", "tid2008", 2014, "doi:10.1109/TIP.2014.2346028; constants tuned on 544 images of TID2008"),
    ("gmsd", "", 2013, "arXiv:1308.3052"),
    ("vif", "live", 2006, "doi:10.1109/TIP.2005.859378; noise variance chosen by its performance, on LIVE"),
    ("nlpd", "", 2016, "doi:10.2352/ISSN.2470-1173.2016.16.HVEI-103; weights: undistorted images"),
    ("mad", "a57", 2010, "doi:10.1117/1.3267105; thresholds of the combination trained on A57"),
    # Full reference, networks.
    ("lpips", "bapps", 2018, _LPIPS + "alex"),
    ("lpips-vgg", "bapps", 2018, _LPIPS + "vgg"),
    ("lpips+", "bapps", 2023, _LPIPS + "alex, with the semantic weights of arXiv:2308.03060"),
    ("lpips-vgg+", "bapps", 2023, _LPIPS + "vgg, with the semantic weights of arXiv:2308.03060"),
    ("stlpips", "bapps", 2022, "arXiv:2207.13686; https://github.com/abhijay9/ShiftTolerant-LPIPS"),
    ("stlpips-vgg", "bapps", 2022, "arXiv:2207.13686; https://github.com/abhijay9/ShiftTolerant-LPIPS"),
    ("dists", "kadid10k", 2020, "arXiv:2004.07728 (and textures without opinions)"),
    ("deepdc", "", 2022, "arXiv:2211.04927; https://github.com/h4nwei/DeepDC"),
    ("dmm", "", 2023, "arXiv:2302.11464; pyiqa loads VGG16 of ImageNet and no other weights"),
    ("msswd", None, 2024, "arXiv:2407.10181 needs no training; pyiqa's msswd_weights.pth: not said"),
    ("pieapp", "pieapp", 2018, "arXiv:1806.02067"),
    ("ahiq", "pipal", 2022, "arXiv:2204.10485; pyiqa's default_model_urls['pipal']"),
    ("ckdn", "pipal", 2021, "arXiv:2108.07948; https://github.com/researchmm/CKDN"),
    ("wadiqam_fr", "kadid10k", 2016, "arXiv:1612.01697; pyiqa's weights WaDIQaM-kadid-f7541ea5"),
    ("topiq_fr", "kadid10k", 2023, _TOPIQ + "cfanet_fr_kadid_res50-2c4cc61d"),
    ("topiq_fr-pipal", "pipal", 2023, _TOPIQ + "cfanet_fr_pipal_res50-69bbe5ba"),
    ("afine_fr", "kadid10k pipal tid2013 diffiqa", 2025, _AFINE),
    ("afine_all", "kadid10k pipal tid2013 diffiqa", 2025, _AFINE),
    ("afine_all_scale", "kadid10k pipal tid2013 diffiqa", 2025, _AFINE),
    ("fgresq_pair", "fgrestore", 2025, _FGRESQ),
    # No reference, statistics of natural images.
    ("niqe", "", 2012, "doi:10.1109/LSP.2012.2227726 (pristine images)"),
    ("niqe_matlab", "", 2012, "doi:10.1109/LSP.2012.2227726 (pristine images)"),
    ("ilniqe", "", 2015, "doi:10.1109/TIP.2015.2426416 (pristine images)"),
    ("piqe", "", 2015, "doi:10.1109/NCC.2015.7084843"),
    ("brisque", "live", 2012, "doi:10.1109/TIP.2012.2214050"),
    ("brisque_matlab", "live", 2012, "https://www.mathworks.com/help/images/ref/brisquemodel.html"),
    ("nrqm", "ma17", 2016, "arXiv:1612.05890 (super-resolved images of Ma et al., CVIU 2017)"),
    ("pi", "ma17", 2018, "arXiv:1809.07517; mean of NIQE and NRQM"),
    ("entropy", "", None, _FORMULA),
    # No reference, networks.
    ("cnniqa", "koniq10k", 2014, "doi:10.1109/CVPR.2014.224; pyiqa's weights CNNIQA_koniq10k-e6f14c91"),
    ("wadiqam_nr", "koniq10k", 2016, "arXiv:1612.01697; pyiqa's weights WaDIQaM-NR-koniq-aaffea29"),
    ("nima", "ava", 2017, "arXiv:1709.05424; pyiqa's weights NIMA_InceptionV2_ava-b0c77c00"),
    ("nima-vgg16-ava", "ava", 2017, "arXiv:1709.05424; pyiqa's weights NIMA_VGG16_ava-dc4e8265"),
    ("nima-koniq", "koniq10k", 2017, "arXiv:1709.05424; pyiqa's weights NIMA_koniq-250367ae"),
    ("nima-spaq", "spaq", 2017, "arXiv:1709.05424; pyiqa's weights NIMA-spaq-46a7fcb7"),
    ("dbcnn", "koniq10k", 2018, "doi:10.1109/TCSVT.2018.2886771; pyiqa's weights DBCNN_KonIQ10k-2de81c0a"),
    ("paq2piq", "flive", 2019, "arXiv:1912.10088"),
    ("hyperiqa", "koniq10k", 2020, "https://github.com/SSL92/hyperIQA; pyiqa's HyperIQA-resnet50-koniq10k-c96c41b1"),
    ("metaiqa", "tid2013 kadid10k livec", 2020, "arXiv:2004.05508; pyiqa's Metaiqa_livec.pth, fine-tuned"),
    ("unique", _SIX, 2020, "arXiv:2005.13983; https://github.com/zwx8981/UNIQUE"),
    ("musiq", "koniq10k", 2021, _MUSIQ + "koniq_ckpt-e95806b9"),
    ("musiq-ava", "ava", 2021, _MUSIQ + "ava_ckpt-e8d3f067"),
    ("musiq-paq2piq", "flive", 2021, _MUSIQ + "paq2piq_ckpt-364c0c84"),
    ("musiq-spaq", "spaq", 2021, _MUSIQ + "spaq_ckpt-358bb6af"),
    ("tres", "koniq10k", 2021, "arXiv:2108.06858; pyiqa's weights tres_koniq-f0502926"),
    ("tres-flive", "flive", 2021, "arXiv:2108.06858; pyiqa's weights tres_flive-09b0de5b"),
    ("clipscore", "", 2021, "arXiv:2104.08718"),
    ("maniqa", "koniq10k", 2022, "arXiv:2204.08958; pyiqa's train_dataset koniq"),
    ("maniqa-pipal", "pipal", 2022, "arXiv:2204.08958; pyiqa's train_dataset pipal"),
    ("maniqa-kadid", "kadid10k", 2022, "arXiv:2204.08958; pyiqa's train_dataset kadid"),
    ("clipiqa", "", 2022, _CLIPIQA + "clipiqa, CLIP as it is"),
    ("clipiqa+", "koniq10k", 2022, _CLIPIQA + "clipiqa+"),
    ("clipiqa+_vitL14_512", "koniq10k", 2022, _CLIPIQA + "clipiqa+_vitL14_512, options/train/CLIPIQA"),
    ("clipiqa+_rn50_512", "koniq10k", 2022, _CLIPIQA + "clipiqa+_rn50_512, options/train/CLIPIQA"),
    ("uranker", "urankerset", 2022, "arXiv:2208.06857; https://github.com/RQ-Wu/UnderwaterRanker"),
    ("laion_aes", "sac laion_logos ava", 2022, "https://github.com/christophschuhmann/improved-aesthetic-predictor"),
    ("liqe", "koniq10k", 2023, "arXiv:2303.14968; pyiqa's weights liqe_koniq.pt"),
    ("liqe_mix", _SIX, 2023, "arXiv:2303.14968; pyiqa's weights liqe_mix.pt"),
    ("topiq_nr", "koniq10k", 2023, _TOPIQ + "cfanet_nr_koniq_res50-9a73138b"),
    ("topiq_nr-flive", "flive", 2023, _TOPIQ + "cfanet_nr_flive_res50-ded1c74e"),
    ("topiq_nr-spaq", "spaq", 2023, _TOPIQ + "cfanet_nr_spaq_res50-a7f799ac"),
    ("topiq_nr-face", "cgfiqa40k", 2023, _TOPIQ + "topiq_nr_cgfiqa_res50-0a8b8e4f"),
    ("topiq_nr_swin-face", "cgfiqa40k", 2023, _TOPIQ + "topiq_nr_cgfiqa_swin, options/train/TOPIQ"),
    ("topiq_nr-face-v1", "gfiqa20k", 2023, _TOPIQ + "topiq_nr_gfiqa_res50-d76bf1ae"),
    ("topiq_iaa", "ava", 2023, _TOPIQ + "cfanet_iaa_ava_swin-393b41b4"),
    ("topiq_iaa_res50", "ava", 2023, _TOPIQ + "cfanet_iaa_ava_res50-3cd62bb3"),
    ("arniqa", "koniq10k", 2023, _ARNIQA + "koniq"),
    ("arniqa-live", "live", 2023, _ARNIQA + "live"),
    ("arniqa-csiq", "csiq", 2023, _ARNIQA + "csiq"),
    ("arniqa-tid", "tid2013", 2023, _ARNIQA + "tid"),
    ("arniqa-kadid", "kadid10k", 2023, _ARNIQA + "kadid"),
    ("arniqa-clive", "livec", 2023, _ARNIQA + "clive"),
    ("arniqa-flive", "flive", 2023, _ARNIQA + "flive"),
    ("arniqa-spaq", "spaq", 2023, _ARNIQA + "spaq"),
    ("qalign", "koniq10k spaq kadid10k ava lsvq", 2023, _QALIGN),
    ("qalign_8bit", "koniq10k spaq kadid10k ava lsvq", 2023, _QALIGN),
    ("qalign_4bit", "koniq10k spaq kadid10k ava lsvq", 2023, _QALIGN),
    ("compare2score", _SIX, 2024, "arXiv:2405.19298; https://github.com/Q-Future/Compare2Score, scripts"),
    ("qualiclip", "", 2024, "arXiv:2403.11176 (without opinions)"),
    ("qualiclip+", "koniq10k", 2024, _QUALICLIP + "koniq"),
    ("qualiclip+-clive", "livec", 2024, _QUALICLIP + "clive"),
    ("qualiclip+-flive", "flive", 2024, _QUALICLIP + "flive"),
    ("qualiclip+-spaq", "spaq", 2024, _QUALICLIP + "spaq"),
    ("maclip", "", 2025, "arXiv:2511.09948; https://github.com/zhix000/MA-CLIP"),
    ("afine_nr", "kadid10k pipal tid2013 diffiqa", 2025, _AFINE),
    ("fgresq", "fgrestore", 2025, _FGRESQ),
    ("qrealign", None, None, _QREALIGN),
    ("qrealign-mini", None, None, _QREALIGN),
    ("qrealign-lite", None, None, _QREALIGN),
    ("qrealign-pro", None, None, _QREALIGN),
)

TRAINING: Mapping[str, Training] = {
    name: Training(None if sets is None else tuple(sets.split()), year, source) for name, sets, year, source in _TABLE
}
"""All metrics of pyiqa that score single images."""
