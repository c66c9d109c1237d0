package config

import (
	"strconv"
	"strings"
	"time"

	"demarc/internal/account"
)

// Config is the whole configuration.
type Config struct {
	Roles   []Role `yaml:"roles" help:"what this process does: any of connector (link, sync, API and pages), cloudlink (the CloudLink-like service) and telephony (SIP registrar, calls and their media)"`
	DataDir string `yaml:"data_dir" help:"directory for the database, certificates, keyset and operator socket; made when missing, private to its owner"`
	Name    string `yaml:"name" help:"DNS name under which phones and browsers reach this server; stands in its certificate and in every link"`

	PublicName string `yaml:"public_name" help:"set: the server has this DNS name on the internet, a public certificate for it is obtained by ACME (tls.acme_*), it takes the place of name, and no link or document carries a CA"`

	TLS       TLS       `yaml:"tls"`
	Account   Account   `yaml:"account"`
	Log       Log       `yaml:"log"`
	Store     Store     `yaml:"store"`
	HTTP      HTTP      `yaml:"http"`
	Telephony Telephony `yaml:"telephony"`
	CloudLink CloudLink `yaml:"cloudlink"`
	Connector Connector `yaml:"connector"`
}

// Role is one of the jobs that a process does.
type Role string

// The roles.
const (
	RoleConnector Role = "connector"
	RoleCloudLink Role = "cloudlink"
	RoleTelephony Role = "telephony"
)

// TLS says where the server's certificate comes from: two files, ACME when public_name is set, else a private CA of demarc's
// own.
type TLS struct {
	CertificateFile string `yaml:"certificate_file" help:"certificate chain (PEM) that somebody else renews; read again within seconds when it changes; one that does not do is told in the log and the old one stays"`
	KeyFile         string `yaml:"key_file" help:"private key (PEM) of tls.certificate_file"`
	CAFile          string `yaml:"ca_file" help:"the CA (PEM) that phones must be given when certificate_file or the ACME authority is not publicly trusted; empty: it is"`
	ACMEDirectory   string `yaml:"acme_directory" help:"directory URL of the ACME authority for public_name"`
	ACMEEmail       string `yaml:"acme_email" help:"where the ACME authority writes to; may be empty"`
	ACMEListen      string `yaml:"acme_listen" help:"address for the authority's HTTP check, usually :80; empty: it looks at any TLS listener that it reaches on port 443"`
	ACMECAFile      string `yaml:"acme_ca_file" help:"CA (PEM) of the ACME authority's own server; empty: the system's"`
}

// Account is made at the first start.
type Account struct {
	Name   string `yaml:"name" help:"name of the account that the first start makes; later ones: demarc accounts add"`
	Domain string `yaml:"domain" help:"its SIP domain, which is also its digest realm; empty: the domain of telephony.directory, else the server's name"`
	Owner  string `yaml:"owner" help:"e-mail address of its owner; empty: owner@ the account's domain"`
}

// Log says how much is logged and how.
type Log struct {
	Level  string `yaml:"level" help:"debug, info, warn or error"`
	Format string `yaml:"format" help:"text for people or json for machines; to standard error"`
}

// Store says where everything durable is kept.
type Store struct {
	URL         account.Secret `yaml:"url" help:"sqlite:PATH or postgres://user:password@host/database; empty: SQLite in the data directory"`
	Connections int            `yaml:"connections" help:"concurrent readers on SQLite, connections on PostgreSQL"`
	KeysetFile  string         `yaml:"keyset_file" help:"key that seals every secret in the store; empty: keyset.json in the data directory; back it up apart from the database"`
}

// HTTP is the listener of API and pages.
type HTTP struct {
	Listen    string `yaml:"listen" help:"address of the HTTPS listener for API and pages"`
	PublicURL string `yaml:"public_url" help:"https://host:port of API and pages as browsers and phones reach them; empty: the server's name and the port of http.listen"`
	Metrics   string `yaml:"metrics" help:"address of the plain HTTP listener for /metrics, /livez and /readyz; keep it off the internet; empty: none (the operator's socket has them too)"`
}

// Telephony is the SIP side.
type Telephony struct {
	Node           string        `yaml:"node" help:"name of this node, unique among the nodes on one database and kept for ever"`
	Directory      string        `yaml:"directory" help:"users file (YAML or CSV) that is loaded into the registrar's directory at start and on SIGHUP; one that leaves out all who are there, or more than five and a tenth of them, is not, unless SIGHUP comes again within ten minutes; empty: the directory stays as it is"`
	Listeners      []Listener    `yaml:"listeners" help:"SIP listeners"`
	Algorithms     []string      `yaml:"algorithms" help:"digest algorithms offered, in order; MD5 alone is the only offer that every phone understands"`
	RealmOffers    []RealmOffer  `yaml:"realm_algorithms" help:"other offers for single realms"`
	MinExpires     time.Duration `yaml:"min_expires" help:"shortest registration accepted, else 423"`
	DefaultExpires time.Duration `yaml:"default_expires" help:"when the phone does not ask for one"`
	MaxExpires     time.Duration `yaml:"max_expires" help:"longest registration granted"`
	FlowTimer      time.Duration `yaml:"flow_timer" help:"how often phones that keep connections of their own (RFC 5626) are asked to send keep-alives; a connection that stays silent 15s longer is closed and its phone inactive; on UDP never less often than every 29s"`
	UDPKeepAlive   time.Duration `yaml:"udp_keepalive" help:"time between the OPTIONS that hold the way to a phone behind NAT open over UDP; three without an answer make it inactive; 0 sends none"`
	TraceMemory    int           `yaml:"trace_memory" help:"megabytes for the last SIP messages of each phone, without their secrets, for demarc trace; 0 remembers none"`
	NodeListen     string        `yaml:"internal_listen" help:"address of the SIP listener between nodes (mutual TLS under the shared certificate authority); empty: requests for phones of other nodes are not sent"`
	NodeAdvertise  string        `yaml:"internal_advertise" help:"host:port by which other nodes reach internal_listen; empty: the address that it is bound to"`
	Proxies        []string      `yaml:"proxies" help:"address ranges (CIDR) of SIP proxies in front of phones, whose Path is believed; that of others is passed over"`
	PushProviders  []string      `yaml:"push_providers" help:"push services (pn-provider of RFC 8599, such as apns or fcm) that wake phones of this registrar; with none, push parameters are kept and nothing is promised"`
	Limits         Limits        `yaml:"limits"`
	Calls          Calls         `yaml:"calls"`
	Media          Media         `yaml:"media"`
	Bindings       string        `yaml:"bindings" help:"store: every registration is committed before it is answered and outlives a restart; memory: comings and goings are written after the answer and refreshes not at all, which is faster, and a restart loses all registrations until the phones come back"`
}

// Listener is one SIP listener.
type Listener struct {
	Name       string   `yaml:"name" help:"unique; stands in metrics and logs"`
	Transport  string   `yaml:"transport" help:"udp, tcp, tls, ws or wss; ws is for a proxy on this machine that ends TLS"`
	Address    string   `yaml:"address" help:"host:port to listen on; phones behind strict firewalls reach tls and wss on port 443 (with shares both on one; an address of its own, or http.listen elsewhere)"`
	Shares     string   `yaml:"shares,omitempty" help:"wss: name of a tls listener whose address and TLS settings serve this one too, in the place of address: phones and browsers come to one port, usually 443, and are told apart by their first bytes; ws shares a tcp listener"`
	Advertise  string   `yaml:"advertise,omitempty" help:"host:port that phones are told instead of name and port, behind a 1:1 NAT: in credentials, documents and our own requests"`
	Media      string   `yaml:"advertise_media,omitempty" help:"IP address or DNS name that phones of this listener are to send media to, behind a 1:1 NAT; a name is looked up at the start; empty: the host of advertise when it is an IP address, else the address that the listener is bound to"`
	TLSPolicy  string   `yaml:"tls_policy,omitempty" help:"tls and wss: aes256 leaves AES-256-GCM alone, and TLS 1.2 with it: TLS 1.3 is off, since its cipher suites cannot be chosen, phones without those suites stay out, and each connection takes one more round trip"`
	TLSMin     string   `yaml:"tls_min,omitempty" help:"tls and wss: lowest version, 1.2 (default) or 1.3"`
	TLSMax     string   `yaml:"tls_max,omitempty" help:"tls and wss: highest version, 1.2 or 1.3 (default)"`
	TLSSuites  []string `yaml:"tls_suites,omitempty" help:"tls and wss: cipher suites of TLS 1.2 by their IANA names; those of 1.3 cannot be chosen"`
	TLSKeys    string   `yaml:"tls_key_exchange,omitempty" help:"tls and wss: classical (default): X25519, P-256 and P-384, as phones do; hybrid: X25519 with ML-KEM too where the peer offers it, against whoever records traffic now to break it with a quantum computer later, at about 0.2 ms of processor time for each new connection"`
	Algorithms []string `yaml:"algorithms,omitempty" help:"digest algorithms, instead of telephony.algorithms; ws and wss offer MD5 alone unless this says otherwise, since browsers' SIP libraries know no other"`
	CallAuth   string   `yaml:"call_authentication,omitempty" help:"always (default): every call proves by a digest who calls; registered: a phone that has registered over the same connection need not, which spares a round trip. For udp registered trusts addresses, which can be forged: only where nobody does, as behind a session border controller"`
	Path       string   `yaml:"path,omitempty" help:"ws and wss: path of the URL; empty: any"`
	Origins    []string `yaml:"origins,omitempty" help:"ws and wss: hosts of web pages that may connect, like phone.example.org or *.example.org; empty: the portal's. Programs send no origin and may always."`
}

// Calls configures calls.
type Calls struct {
	Ring       time.Duration `yaml:"ring" help:"how long phones ring before the call ends as not answered"`
	Account    int           `yaml:"account_limit" help:"calls of one account at a time; another gets 480"`
	User       int           `yaml:"user_limit" help:"calls of one user at a time, waiting and held ones included; another gets 486"`
	Node       int           `yaml:"node_limit" help:"calls of this node at a time; another gets 503 with Retry-After"`
	Encryption string        `yaml:"encryption" help:"of the media between phone and gateway: required (SRTP or no call), preferred (SRTP where the phone does it), off"`
	Session    time.Duration `yaml:"session_expires" help:"session timer (RFC 4028): a call whose phone vanished without a word ends after that"`
	History    time.Duration `yaml:"history" help:"how long ended calls stay in history"`
	LostAfter  time.Duration `yaml:"lost_after" help:"with several nodes: how long one must say nothing to the database until the others end its calls in history as node lost; one that was merely cut off keeps its calls, but not their end in history"`
}

// Media configures the media of calls.
type Media struct {
	Ports         string         `yaml:"ports" help:"UDP ports for media, FIRST-LAST with an even first one: four for each call, eight with video"`
	Address       string         `yaml:"address" help:"local IP address for media; empty: the one that leads to the phone"`
	Networks      []MediaNetwork `yaml:"networks" help:"phones of single networks are told other addresses; the first that fits counts, before advertise_media of the listener"`
	Timeout       time.Duration  `yaml:"timeout" help:"a call ends when a phone that should send media is silent for so long"`
	Video         string         `yaml:"video" help:"relay: passed on between phones as it is; refuse: calls are without"`
	Music         string         `yaml:"music" help:"WAV file (PCM, mono, 8000 or 16000 Hz) for phones that are held; empty: a melody of demarc's own"`
	Announcements string         `yaml:"announcements" help:"folder of WAV files; NAME.wav is the announcement NAME, and takes the place of the tone of that name: dial, ringing, busy, congestion, beep"`
}

// MediaNetwork is phones that reach our media by an address of their own.
type MediaNetwork struct {
	Network string `yaml:"network" help:"address range (CIDR) that their SIP comes from"`
	Address string `yaml:"address" help:"IP address that they are told"`
}

// PortRange returns the ports; zero when they are malformed.
func (m Media) PortRange() (first, last uint16) {
	from, to, _ := strings.Cut(m.Ports, "-")
	f, err := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	l, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	if err != nil || err2 != nil {
		return 0, 0
	}
	return uint16(f), uint16(l)
}

// Limits bounds what strangers can cost.
type Limits struct {
	Admission         int           `yaml:"admission" help:"requests per second that are looked into; above it strangers get 503 with Retry-After, and devices that proved who they are come first"`
	Waiting           int           `yaml:"waiting" help:"requests in work at which strangers get 503"`
	Guesses           int           `yaml:"guesses" help:"wrong passwords for one extension from one source before silence; devices known from before are still served"`
	GuessRefill       time.Duration `yaml:"guess_refill" help:"until one more guess is taken: how long a phone waits at most after its password was mended"`
	SourceWrong       int           `yaml:"source_wrong" help:"wrong passwords from one source within window before it is banned"`
	SourceRequests    int           `yaml:"source_requests" help:"requests from a source where nobody proved who they are, within window, before it is banned"`
	Window            time.Duration `yaml:"window" help:"time over which source_wrong and source_requests are counted"`
	Ban               time.Duration `yaml:"ban" help:"how long a banned source is met with silence"`
	Trust             time.Duration `yaml:"trust" help:"how long a source is not banned after somebody there proved who they are; connections of theirs never are"`
	UDPReplies        int           `yaml:"udp_replies" help:"answers per second to a UDP source where nobody proved who they are; each is at most 1.5 times the request"`
	Connections       int           `yaml:"connections" help:"connections open at once; a newer one displaces the oldest over which nobody has proved who they are"`
	SourceConnections int           `yaml:"source_connections" help:"connections from one source"`
	HalfOpen          int           `yaml:"half_open" help:"connections that have sent no message yet"`
	SourceHalfOpen    int           `yaml:"source_half_open" help:"the same from one source"`
}

// RealmOffer is the digest offer of one realm.
type RealmOffer struct {
	Realm      string   `yaml:"realm"`
	Algorithms []string `yaml:"algorithms"`
}

// CloudLink is the CloudLink-like service.
type CloudLink struct {
	Listen                  string         `yaml:"listen" help:"address of the HTTPS listener of the CloudLink-like service"`
	PublicURL               string         `yaml:"public_url" help:"https://host:port of the service as browsers reach it; empty: the server's name and the port of cloudlink.listen"`
	Driver                  string         `yaml:"driver" help:"core: the registrar's own directory; file: the users of cloudlink.file"`
	File                    string         `yaml:"file" help:"users file (YAML or CSV) for the driver file"`
	AdminEmail              string         `yaml:"admin_email" help:"who may sign in and consent to the link; empty: the owner of the account"`
	AdminPassword           account.Secret `yaml:"admin_password" help:"password of that admin; empty: one is made at the first start and kept in cloudlink-admin.password in the data directory"`
	RedirectURIs            []string       `yaml:"redirect_uris" help:"where the service may send the browser after consent; empty: this server's own /connect/callback"`
	AccessTokenExpiryHours  int            `yaml:"access_token_expiry_hours" help:"lifetime of access tokens in hours"`
	RefreshTokenExpiryHours int            `yaml:"refresh_token_expiry_hours" help:"lifetime of refresh tokens in hours; each use rotates them"`
}

// Connector is the link to the service and the sync.
type Connector struct {
	CloudLinkURL string         `yaml:"cloudlink_url" help:"https://host[:port] of the CloudLink-like service that demarc link connects to; empty: the one in this process"`
	ClientID     string         `yaml:"client_id" help:"OAuth client id of the app at the service"`
	ClientSecret account.Secret `yaml:"client_secret" help:"OAuth client secret; empty: cloudlink-client.secret in the data directory"`
	AllowPrivate []string       `yaml:"allow_private" help:"private address ranges (CIDR) that a service URL may lead to; others are refused so that an admin's URL cannot reach inside"`
	SyncEvery    time.Duration  `yaml:"sync_every" help:"time between two syncs"`
	CAFile       string         `yaml:"ca_file" help:"further CA certificates (PEM) to trust at the service"`
	PhoneCAFile  string         `yaml:"phone_ca_file" help:"further CA certificates (PEM) that phones are to trust at the registrars; needed for a PBX or SBC whose certificate is not from this server's own CA, from a public one too"`
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Roles:   []Role{RoleConnector, RoleCloudLink, RoleTelephony},
		DataDir: "data",
		Name:    "localhost",
		Account: Account{Name: "Example Company"},
		Log:     Log{Level: "info", Format: "text"},
		Store:   Store{Connections: 8},
		TLS:     TLS{ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory"},
		HTTP:    HTTP{Listen: "127.0.0.1:8443", Metrics: "127.0.0.1:9464"},
		Telephony: Telephony{
			Node: "node-1",
			Listeners: []Listener{
				{Name: "tls", Transport: "tls", Address: "127.0.0.1:5061"},
				{Name: "tcp", Transport: "tcp", Address: "127.0.0.1:5060"},
				{Name: "udp", Transport: "udp", Address: "127.0.0.1:5060"},
			},
			Limits: Limits{
				Admission: 5000, Waiting: 4096, Guesses: 10, GuessRefill: 30 * time.Second, SourceWrong: 50, SourceRequests: 3000,
				Window: 10 * time.Minute, Ban: time.Hour, Trust: 24 * time.Hour, UDPReplies: 50, Connections: 20_000,
				SourceConnections: 1000, HalfOpen: 2048, SourceHalfOpen: 512,
			},
			Algorithms: []string{"MD5"}, Bindings: "store",
			MinExpires: time.Minute, DefaultExpires: 10 * time.Minute, MaxExpires: time.Hour,
			FlowTimer: 2 * time.Minute, UDPKeepAlive: 25 * time.Second, TraceMemory: 32,
			Calls: Calls{
				Ring: time.Minute, Account: 1000, User: 10, Node: 10_000, Encryption: "preferred", Session: 30 * time.Minute, LostAfter: 15 * time.Minute,
				History: 90 * 24 * time.Hour,
			},
			Media: Media{Ports: "20000-29999", Timeout: 30 * time.Second, Video: "relay"},
		},
		CloudLink: CloudLink{
			Listen: "127.0.0.1:8444", Driver: "core",
			AccessTokenExpiryHours: 1, RefreshTokenExpiryHours: 90 * 24,
		},
		Connector: Connector{ClientID: "demarc", SyncEvery: 15 * time.Minute},
	}
}

// Has reports whether the process has the role.
func (c Config) Has(role Role) bool {
	for _, r := range c.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// ServerName is the name that stands in certificates and links.
func (c Config) ServerName() string {
	if c.PublicName != "" {
		return c.PublicName
	}
	return c.Name
}

// Notes returns what whoever set a listener so should know.
func (l Listener) Notes() []string {
	var notes []string
	if l.TLSPolicy == "aes256" {
		notes = append(notes, "listener "+l.Name+": aes256 turns TLS 1.3 off, whose cipher suites cannot be chosen; phones without "+
			"AES-256-GCM for TLS 1.2 cannot connect, and each connection takes one more round trip")
	}
	if l.CallAuth == "registered" && l.Transport == "udp" {
		notes = append(notes, "listener "+l.Name+": with call_authentication registered, whoever can forge the address of a phone on udp "+
			"can begin calls in its name")
	}
	return notes
}
