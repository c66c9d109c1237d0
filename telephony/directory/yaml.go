package directory

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"demarc/cloudlink"
)

func parseYAML(text []byte, defaults cloudlink.PBX, f *faults) Directory {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		f.yaml(err)
		return Directory{}
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		f.add(position{1, 1}, "a users file is one YAML document with users: and, if wanted, pbx:")
		return Directory{}
	}
	sections := children(file.Docs[0].Body)
	var pbx pbxRow
	var users ast.Node
	for _, s := range sections {
		switch s.Key.String() {
		case "pbx":
			if err := yaml.NodeToValue(s.Value, &pbx, yaml.Strict()); err != nil {
				f.yaml(err)
			}
		case "users":
			users = s.Value
		default:
			f.add(place(s.Key.GetToken()), "unknown key %q: use pbx and users", s.Key.String())
		}
	}
	if users == nil {
		f.add(position{1, 1}, "there is no users: list")
		return Directory{}
	}
	d := Directory{PBX: buildPBX(pbx, locate(section(sections, "pbx", file.Docs[0].Body)), defaults, f)}
	b := newBuilder(f, d.PBX)
	b.addUsers(users)
	d.Subscribers = b.built
	return d
}

func (b *builder) addUsers(users ast.Node) {
	list, ok := users.(*ast.SequenceNode)
	if !ok {
		b.faults.add(place(users.GetToken()), "users must be a list")
		return
	}
	for _, node := range list.Values {
		asWritten(node)
		var r row
		if err := yaml.NodeToValue(node, &r, yaml.Strict()); err != nil {
			b.yaml(err)
			continue
		}
		r.at = locate(node)
		b.add(r)
	}
}

// asWritten makes numbers and booleans the text that stands in the file: every field of a user is text, and an unquoted
// 0100 is an extension, not the octal number 64.
func asWritten(node ast.Node) {
	for _, entry := range children(node) {
		switch v := entry.Value.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
			entry.Value = ast.String(v.GetToken())
		}
	}
}

// yaml adds a mistake that the YAML library found; its own text would show lines of the file, with their passwords.
func (f *faults) yaml(err error) {
	var e yaml.Error
	if errors.As(err, &e) {
		f.add(place(e.GetToken()), "%s", strings.SplitN(e.GetMessage(), "\n", 2)[0])
		return
	}
	f.add(position{}, "the YAML cannot be read")
}

// children returns the entries of a mapping.
func children(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func section(sections []*ast.MappingValueNode, name string, standard ast.Node) ast.Node {
	for _, s := range sections {
		if s.Key.String() == name {
			return s.Value
		}
	}
	return standard
}

// locate returns where a mapping's fields stand; for an absent one, where the mapping begins.
func locate(node ast.Node) func(field string) position {
	entries := children(node)
	return func(field string) position {
		for _, e := range entries {
			if e.Key.String() == field {
				return place(e.Value.GetToken())
			}
		}
		if len(entries) > 0 {
			return place(entries[0].Key.GetToken())
		}
		return place(node.GetToken())
	}
}

func place(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}
