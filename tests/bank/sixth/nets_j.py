"""Models of author j."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


def mlp(*sizes, act=nn.ReLU):
    layers = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def conv(a, b, size=3, stride=1, act=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(a, b, size, stride, size // 2, bias=False), nn.BatchNorm2d(b), act()
    )


def pooled():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def small_cnn(classes, width=16, channels=1, drop=0.0, stride=1):
    return nn.Sequential(
        *(conv(channels, width, stride=stride), conv(width, 2 * width, stride=2)),
        *(conv(2 * width, 4 * width, stride=2), pooled()),
        *(nn.Dropout(drop), nn.Linear(4 * width, classes)),
    )


class Separable(nn.Module):
    """Depthwise, then pointwise, with a way around."""

    def __init__(self, width, size=3):
        super().__init__()
        self.depth = nn.Conv2d(width, width, size, padding=size // 2, groups=width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.point = nn.Conv2d(width, width, 1)
        self.out = nn.BatchNorm2d(width)

    def forward(self, x):
        x = x + F.relu6(self.norm(self.depth(x)))
        return self.out(F.relu6(self.point(x)))


def mobile(classes, width=32, blocks=3):
    return nn.Sequential(
        conv(3, width, 4, 2),
        *(Separable(width, 5) for _ in range(blocks)),
        *(pooled(), nn.Linear(width, classes)),
    )


class ViT(nn.Module):
    def __init__(self, side, patch, width, heads, depth, classes):
        super().__init__()
        self.patch = nn.Conv2d(1, width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.place
        return self.head(self.norm(self.body(x))[:, 0])


class WaveNet5(nn.Module):
    """Strided convolutions on the raw wave, log-probabilities out (after M5)."""

    def __init__(self, classes, width=16):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv1d(1, width, 15, 2, 7), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Conv1d(width, width, 5, 1, 2), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.MaxPool1d(4), nn.Conv1d(width, 2 * width, 5, 1, 2)),
            *(nn.BatchNorm1d(2 * width), nn.ReLU(), nn.MaxPool1d(4)),
            *(nn.Conv1d(2 * width, 2 * width, 5, 1, 2), nn.BatchNorm1d(2 * width), nn.ReLU()),
        )
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x):
        x = self.body(x)
        x = torch.cat([x.mean(2), x.amax(2)], 1)
        return F.log_softmax(self.head(x), 1)


class Spectral(nn.Module):
    """A log spectrogram, in training with masked bands and frames, and a small CNN."""

    def __init__(self, classes, width=12, size=128, hop=16):
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size))
        self.norm = nn.BatchNorm2d(1)
        self.body = small_cnn(classes, width, stride=2)

    def forward(self, x):
        x = torch.stft(x[:, 0], self.size, self.hop, window=self.window, return_complex=True)
        x = self.norm(torch.log1p(x.abs()[:, None, :40]))
        if self.training:
            x = x.clone()
            band, frame = (int(torch.randint(n - 3, ())) for n in x.shape[2:])
            x[:, :, band : band + 3] = 0
            x[..., frame : frame + 3] = 0
        return self.body(x)


class Listener(nn.Module):
    """A GRU over padded frames, read at each one's last frame."""

    def __init__(self, bands, width, classes):
        super().__init__()
        self.rnn = nn.GRU(bands, width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


class Transcriber(nn.Module):
    """Log-probabilities of signs at each frame, (frames, batch, signs)."""

    def __init__(self, bands, width, signs):
        super().__init__()
        self.conv = nn.Conv1d(bands, width, 5, padding=2)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, signs)

    def forward(self, x):
        x = F.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.rnn(x)[0]).log_softmax(2).transpose(0, 1)


class UNet(nn.Module):
    def __init__(self, channels, out, width=8):
        super().__init__()
        self.down = conv(channels, width)
        self.middle = conv(width, 2 * width, stride=2)
        self.deep = nn.Sequential(conv(2 * width, 4 * width, stride=2), conv(4 * width, 4 * width))
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.join = conv(4 * width, 2 * width)
        self.last = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.out = nn.Sequential(conv(2 * width, width), nn.Conv2d(width, out, 1))

    def forward(self, x):
        a = self.down(x)
        b = self.middle(a)
        c = self.join(torch.cat([self.up(self.deep(b)), b], 1))
        return self.out(torch.cat([self.last(c), a], 1))


def dilated(channels, out, width=16):
    layers, a = [], channels
    for d in (1, 2, 4, 2):
        layers += [nn.Conv2d(a, width, 3, padding=d, dilation=d), nn.GroupNorm(4, width), nn.SiLU()]
        a = width
    return nn.Sequential(*layers, nn.Conv2d(width, out, 1))


class UNet1d(nn.Module):
    def __init__(self, classes, width=16):
        super().__init__()
        self.a = nn.Sequential(nn.Conv1d(1, width, 7, padding=3), nn.BatchNorm1d(width), nn.ReLU())
        self.b = nn.Sequential(
            *(nn.MaxPool1d(4), nn.Conv1d(width, 2 * width, 7, padding=3)),
            *(nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Conv1d(2 * width, width, 7, padding=3)),
            *(nn.BatchNorm1d(width), nn.ReLU(), nn.Upsample(scale_factor=4)),
        )
        self.c = nn.Conv1d(2 * width, classes, 5, padding=2)

    def forward(self, x):
        a = self.a(x)
        return self.c(torch.cat([a, self.b(a)], 1))


class Boxer(nn.Module):
    """What it is, and its box."""

    def __init__(self, classes, width=16):
        super().__init__()
        self.body = nn.Sequential(
            *(conv(3, width), conv(width, 2 * width, stride=2)),
            *(conv(2 * width, 2 * width, stride=2), nn.Flatten()),
            *(nn.Linear(50 * width, 96), nn.ReLU()),
        )
        self.kind = nn.Linear(96, classes)
        self.box = nn.Linear(96, 4)

    def forward(self, x):
        x = self.body(x)
        return self.kind(x), self.box(x).sigmoid()


class Centers(nn.Module):
    """A heat map of centres (logits), and sizes, on a quarter of the pixels."""

    def __init__(self, width=16):
        super().__init__()
        self.body = nn.Sequential(
            *(conv(3, width), conv(width, 2 * width, stride=2)),
            *(conv(2 * width, 2 * width), conv(2 * width, 2 * width)),
        )
        self.heat = nn.Conv2d(2 * width, 1, 1)
        self.size = nn.Conv2d(2 * width, 2, 1)
        nn.init.constant_(self.heat.bias, -2.19)

    def forward(self, x):
        x = self.body(x)
        return self.heat(x), self.size(x)


def grid_detector(out, width=16):
    """`out` numbers for each field of 8 x 8 pixels."""
    act = nn.LeakyReLU
    return nn.Sequential(
        *(conv(3, width, act=act), conv(width, 2 * width, stride=2, act=act)),
        *(conv(2 * width, 2 * width, stride=2, act=act), conv(2 * width, 4 * width, 3, 2, act)),
        *(conv(4 * width, 4 * width, act=act), nn.Conv2d(4 * width, out, 1)),
    )


class SoftArgmax(nn.Module):
    """Heat maps whose expected places are the landmarks, between -1 and 1."""

    def __init__(self, channels, marks, side, width=16):
        super().__init__()
        self.body = nn.Sequential(
            *(conv(channels, width, 5), conv(width, width, 5), conv(width, width, 5)),
            nn.Conv2d(width, marks, 1),
        )
        self.register_buffer("place", torch.linspace(-1, 1, side))

    def forward(self, x):
        heat = self.body(x)
        heat = heat.flatten(2).softmax(2).view(heat.shape)
        across, along = heat.sum(2) @ self.place, heat.sum(3) @ self.place
        return torch.stack([across, along], 2)


class Residue(nn.Module):
    """Predicts the noise and takes it off."""

    def __init__(self, width=16, depth=3):
        super().__init__()
        inner = (conv(width, width) for _ in range(depth))
        first, last = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 1, 3, padding=1)
        self.noise = nn.Sequential(first, nn.ReLU(), *inner, last)

    def forward(self, x):
        return x - self.noise(x)


class Enlarger(nn.Module):
    """Sub-pixel convolution on top of a bilinear enlargement."""

    def __init__(self, width=24, factor=2):
        super().__init__()
        self.factor = factor
        self.body = nn.Sequential(
            *(nn.Conv2d(3, width, 5, padding=2), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 3 * factor**2, 3, padding=1), nn.PixelShuffle(factor)),
        )

    def forward(self, x):
        large = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        return large + self.body(x)


class VAE(nn.Module):
    def __init__(self, size=64, width=128, latent=8):
        super().__init__()
        self.fc1 = nn.Linear(size, width)
        self.mu, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)
        self.fc3, self.fc4 = nn.Linear(latent, width), nn.Linear(width, size)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        h = F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.decode(z), mu, logvar


class ConvVAE(nn.Module):
    """For pictures of 20 x 20 in colour; counts its steps for a warm-up of the KL term."""

    def __init__(self, width=16, latent=10):
        super().__init__()
        self.enc = nn.Sequential(
            *(nn.Conv2d(3, width, 4, 2, 1), nn.SiLU(), nn.Conv2d(width, 2 * width, 4, 2, 1)),
            *(nn.SiLU(), nn.Flatten(), nn.Linear(50 * width, 2 * latent)),
        )
        self.dec = nn.Sequential(
            *(nn.Linear(latent, 50 * width), nn.SiLU(), nn.Unflatten(1, (2 * width, 5, 5))),
            *(nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU()),
            nn.ConvTranspose2d(width, 3, 4, 2, 1),
        )
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp() if self.training else mu
        return self.dec(z), mu, logvar


class ConditionalVAE(nn.Module):
    def __init__(self, size=64, classes=10, width=96, latent=6):
        super().__init__()
        self.classes, self.latent = classes, latent
        self.enc = mlp(size + classes, width, 2 * latent)
        self.dec = mlp(latent + classes, width, width, size)

    def forward(self, x, y):
        label = F.one_hot(y, self.classes).float()
        mu, logvar = self.enc(torch.cat([x, label], 1)).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        return self.dec(torch.cat([z, label], 1)), mu, logvar

    def sample(self, y):
        label = F.one_hot(y, self.classes).float()
        return self.dec(torch.cat([torch.randn(len(y), self.latent), label], 1)).sigmoid()


class Quantised(nn.Module):
    """A VQ-VAE: vectors of a 4 x 4 map are replaced by the nearest of the code book."""

    def __init__(self, width=32, size=8, codes=48):
        super().__init__()
        self.enc = nn.Sequential(
            *(nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)),
            *(nn.ReLU(), nn.Conv2d(width, size, 1)),
        )
        self.codes = nn.Embedding(codes, size)
        nn.init.normal_(self.codes.weight, std=0.3)
        self.dec = nn.Sequential(
            *(nn.Conv2d(size, width, 3, 1, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, 1, 3, 1, 1)),
        )

    def forward(self, x):
        z = self.enc(x).permute(0, 2, 3, 1)
        away = torch.cdist(z.reshape(-1, z.shape[-1]), self.codes.weight)
        q = self.codes(away.argmin(1)).view(z.shape)
        extra = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        q = z + (q - z).detach()
        return self.dec(q.permute(0, 3, 1, 2)), extra


class Embedder(nn.Module):
    """A CNN whose outputs lie on the sphere."""

    def __init__(self, size=32, width=16, stride=1):
        super().__init__()
        self.body = small_cnn(size, width, stride=stride)

    def forward(self, x):
        return F.normalize(self.body(x), dim=1)


class Margin(nn.Module):
    """An embedder and the classes' directions, with a margin on the true cosine in training."""

    def __init__(self, classes, size=32, scale=12.0, margin=0.2):
        super().__init__()
        self.embed = Embedder(size)
        self.centres = nn.Parameter(torch.randn(classes, size))
        self.scale, self.margin = scale, margin

    def forward(self, x, y):
        cosines = self.embed(x) @ F.normalize(self.centres, dim=1).T
        away = F.one_hot(y, len(self.centres)) * self.margin
        return self.scale * (cosines - away)


class TwoTowers(nn.Module):
    """Pictures and descriptions of a few words in one space (after CLIP)."""

    def __init__(self, words, size=24):
        super().__init__()
        self.picture = small_cnn(size, 16, channels=3, stride=2)
        self.word = nn.Embedding(words, 32)
        self.text = mlp(64, 48, size)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x, words):
        a = F.normalize(self.picture(x), dim=1)
        b = F.normalize(self.text(self.word(words).flatten(1)), dim=1)
        return self.log_scale.exp().clamp(max=100) * a @ b.T


class Projected(nn.Module):
    """A body and a projector, which is thrown away after training."""

    def __init__(self, width=16, features=64, out=32, stride=1):
        super().__init__()
        self.body = small_cnn(features, width, stride=stride)
        self.projector = nn.Sequential(
            nn.Linear(features, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, out)
        )

    def forward(self, x):
        return self.projector(self.body(x))


class Bootstrapped(nn.Module):
    """An online net with a predictor, and a slowly following target (after BYOL)."""

    def __init__(self, width=16, out=32, rate=0.97, stride=1):
        super().__init__()
        self.online = Projected(width, out=out, stride=stride)
        self.predictor = nn.Sequential(
            nn.Linear(out, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, out)
        )
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.rate = rate

    @property
    def body(self):
        return self.online.body

    @torch.no_grad()
    def follow(self):
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.rate)

    def forward(self, a, b):
        p = self.predictor(self.online(a))
        with torch.no_grad():
            z = self.target(b)
        return 2 - 2 * F.cosine_similarity(p, z, dim=1).mean()


class LoRA(nn.Module):
    """A frozen linear layer and a trained product of low rank, zero at first."""

    def __init__(self, linear, rank=4, alpha=8):
        super().__init__()
        self.linear, self.scale = linear.requires_grad_(False), alpha / rank
        self.a = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(linear.out_features, rank))

    @property
    def weight(self):
        return self.linear.weight + self.scale * self.b @ self.a

    @property
    def bias(self):
        return self.linear.bias

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class FrozenBody(nn.Module):
    """Trained features, left as they are and in eval mode, below a new head."""

    def __init__(self, body, features, classes):
        super().__init__()
        self.body = body.eval().requires_grad_(False)
        self.head = nn.Linear(features, classes)

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x):
        return self.head(self.body(x))


class Distilled(nn.Module):
    """A student, and its frozen teacher for the loss."""

    def __init__(self, student, teacher):
        super().__init__()
        self.student = student
        self.teacher = teacher.eval().requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x):
        return self.student(x)


class Flow(nn.Module):
    """RealNVP in the plane: log-densities out."""

    def __init__(self, layers=6, width=32):
        super().__init__()
        self.nets = nn.ModuleList(mlp(1, width, width, 2, act=nn.Tanh) for _ in range(layers))

    def forward(self, x):
        total = torch.zeros(len(x))
        for k, net in enumerate(self.nets):
            kept, moved = x[:, k % 2], x[:, 1 - k % 2]
            s, t = net(kept[:, None]).unbind(1)
            s = 2 * torch.tanh(s / 2)
            moved = moved * s.exp() + t
            total = total + s
            x = torch.stack([kept, moved] if k % 2 == 0 else [moved, kept], 1)
        return total - 0.5 * x.square().sum(1) - math.log(2 * math.pi)


class Timed(nn.Module):
    """A field in the plane that changes with time, with a slow average of itself beside it."""

    def __init__(self, width=64, classes=0, average=0.0):
        super().__init__()
        self.classes = classes
        self.net = mlp(2 + 8 + classes, width, width, width, 2, act=nn.SiLU)
        self.rate = average
        if average:
            self.slow = copy.deepcopy(self.net).requires_grad_(False)

    @torch.no_grad()
    def follow(self):
        for slow, fast in zip(self.slow.parameters(), self.net.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.rate)

    def forward(self, x, t, y=None, slow=False):
        waves = [f(k * math.pi * t) for k in (0.5, 1, 2, 4) for f in (torch.sin, torch.cos)]
        parts = [x, torch.stack(waves, 1)]
        if self.classes:
            parts.append(F.one_hot(y, self.classes).float())
        return (self.slow if slow else self.net)(torch.cat(parts, 1))


class Causal(nn.Conv2d):
    """A convolution that sees what lies above and to the left."""

    def __init__(self, kind, *args):
        super().__init__(*args)
        mask = torch.ones_like(self.weight)
        h, w = mask.shape[2:]
        mask[:, :, h // 2, w // 2 + (kind == "B") :] = 0
        mask[:, :, h // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


def pixel_cnn(width=32):
    return nn.Sequential(
        *(Causal("A", 1, width, 7, 1, 3), nn.ReLU(), Causal("B", width, width, 5, 1, 2)),
        *(nn.ReLU(), Causal("B", width, width, 5, 1, 2), nn.ReLU(), nn.Conv2d(width, 1, 1)),
    )


class Rates(nn.Module):
    """A vector field, followed by Runge and Kutta's steps."""

    def __init__(self, width=32, dt=0.15):
        super().__init__()
        self.net, self.dt = mlp(2, width, width, 2, act=nn.Tanh), dt

    def forward(self, s, steps):
        f, h, path = self.net, self.dt, [s]
        for _ in range(steps):
            a = f(s)
            b = f(s + h / 2 * a)
            c = f(s + h / 2 * b)
            s = s + h / 6 * (a + 2 * b + 2 * c + f(s + h * c))
            path.append(s)
        return torch.stack(path, 1)


class Spectrum(nn.Module):
    def __init__(self, width, modes):
        super().__init__()
        self.modes = modes
        self.weight = nn.Parameter(torch.randn(width, width, modes, 2) / width)

    def forward(self, x):
        parts = torch.fft.rfft(x)[..., : self.modes]
        parts = torch.einsum("bik,iok->bok", parts, torch.view_as_complex(self.weight))
        return torch.fft.irfft(parts, n=x.shape[-1])


class FNO(nn.Module):
    def __init__(self, width=16, modes=8, depth=3):
        super().__init__()
        self.enter = nn.Conv1d(1, width, 1)
        self.global_ = nn.ModuleList(Spectrum(width, modes) for _ in range(depth))
        self.local = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(depth))
        self.leave = nn.Sequential(nn.Conv1d(width, 32, 1), nn.GELU(), nn.Conv1d(32, 1, 1))

    def forward(self, x):
        x = self.enter(x)
        for a, b in zip(self.global_, self.local, strict=True):
            x = F.gelu(a(x) + b(x))
        return self.leave(x)


class Inverse(nn.Module):
    """A solution and the unknown constants of its equation."""

    def __init__(self, width=32):
        super().__init__()
        self.net = mlp(1, width, width, 1, act=nn.Tanh)
        self.friction = nn.Parameter(torch.tensor(1.0))
        self.stiffness = nn.Parameter(torch.tensor(5.0))

    def forward(self, t):
        return self.net(2 * t - 1)


class Sides(nn.Module):
    """A function of the plane that vanishes on the unit square's sides."""

    def __init__(self, width=32):
        super().__init__()
        self.net = mlp(2, width, width, width, 1, act=nn.Tanh)

    def forward(self, x):
        edge = 16 * (x * (1 - x)).prod(1, keepdim=True)
        return edge * self.net(2 * x - 1)


class ActorCritic(nn.Module):
    def __init__(self, inputs, actions, width=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, width), nn.Tanh())
        self.actor, self.critic = nn.Linear(width, actions), nn.Linear(width, 1)

    def forward(self, s):
        h = self.body(s)
        return self.actor(h), self.critic(h)[..., 0]


class QNet(nn.Module):
    """Values of actions, and the frozen copy that gives the targets."""

    def __init__(self, inputs, actions, width=64, rate=0.98):
        super().__init__()
        self.net = mlp(inputs, width, width, actions)
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        self.rate = rate

    @torch.no_grad()
    def follow(self):
        for slow, fast in zip(self.target.parameters(), self.net.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.rate)

    def forward(self, s):
        return self.net(s)


class Sign(torch.autograd.Function):
    """The sign, with the gradient of a clipped identity."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class BinaryLinear(nn.Linear):
    """Weights of +1 and -1, times a mean size for each unit."""

    def forward(self, x):
        size = self.weight.abs().mean(1, keepdim=True).detach()
        return F.linear(x, Sign.apply(self.weight) * size, self.bias)


class Binary(nn.Module):
    """Binary weights and activations within, real ones at both ends."""

    def __init__(self, inputs, width, classes):
        super().__init__()
        self.first, self.norm1 = nn.Linear(inputs, width), nn.BatchNorm1d(width)
        self.inner, self.norm2 = BinaryLinear(width, width), nn.BatchNorm1d(width)
        self.last = nn.Linear(width, classes)

    def forward(self, x):
        x = Sign.apply(self.norm1(self.first(x.flatten(1))))
        return self.last(Sign.apply(self.norm2(self.inner(x))))


class Spike(torch.autograd.Function):
    """Fires above 0; backward, the slope of a fast sigmoid."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad / (1 + 5 * u.abs()) ** 2


class Spiking(nn.Module):
    """Leaky integrate-and-fire units over a few moments; the mean of the outputs' potentials."""

    def __init__(self, inputs, width, classes, moments=10, leak=0.85):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, width), nn.Linear(width, classes)
        self.moments, self.leak = moments, leak

    def forward(self, x):
        now, u, v, total = 2 * self.fc1(x.flatten(1)), 0.0, 0.0, 0.0
        for _ in range(self.moments):
            u = self.leak * u + now
            fired = Spike.apply(u - 1)
            u = u - fired.detach()
            v = self.leak * v + self.fc2(fired)
            total = total + v
        return total / self.moments


class Choosing(nn.Module):
    """An autoencoder through categorical choices (Gumbel-softmax)."""

    def __init__(self, size=64, choices=12, options=8, width=96):
        super().__init__()
        self.shape = (choices, options)
        self.enc = mlp(size, width, choices * options)
        self.dec = mlp(choices * options, width, size)

    def forward(self, x, tau=1.0):
        logits = self.enc(x).view(-1, *self.shape)
        if self.training:
            picked = F.gumbel_softmax(logits, tau=tau, hard=True)
        else:
            picked = F.one_hot(logits.argmax(2), self.shape[1]).float()
        return self.dec(picked.flatten(1)), logits


def rounded(x, step, low, high):
    """To the nearest of few steps; the gradient passes as if it had not been."""
    return x + (step * (x / step).round().clamp(low, high) - x).detach()


class FakeQuantised(nn.Conv2d):
    """Weights of four bits, activations in of eight, as quantisation-aware training has them."""

    def forward(self, x):
        step = self.weight.detach().abs().amax((1, 2, 3), keepdim=True) / 7
        weight = rounded(self.weight, step, -7, 7)
        x = rounded(x, x.detach().abs().max().clamp(min=1e-3) / 127, -127, 127)
        return self._conv_forward(x, weight, self.bias)


def quantised_cnn(classes, width=12):
    return nn.Sequential(
        *(FakeQuantised(1, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()),
        *(FakeQuantised(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(FakeQuantised(2 * width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(pooled(), nn.Linear(2 * width, classes)),
    )
